"""Formulas as a function of numbers and arrays: exact, or refused."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError, UnboundSymbolError
from symcost.numeric.evaluation import Code, Evaluation
from symcost.numeric.forms import Forms
from symcost.numeric.program import Ranges
from symcost.symbols import CATALOGUE, Expr, SymbolInfo


class Compiled:
    """Figures as a function of sizes: numbers, or arrays that broadcast.

    It takes sizes by the names of their symbols, such as ``B=8, S=np.arange(1, 4097)``, and gives a
    figure, or a dictionary of them by name. Integers are exact: int64 where the ranges of the sizes
    show that nothing overflows, otherwise Python integers of any length. What is no integer, by a
    width, is a Fraction; in an array it is float64 where that is exact.

    Parameters
    ----------
    formulas : mapping of str to sympy.Expr
        Figures by name.
    single : bool
        Return the only figure itself.
    dtype : {None, "float64"}
        In float64 figures are rounded; `relative_error` tells how much at worst.

    Raises
    ------
    DomainError
        A size lies outside its domain.
    InputError
        A size is no integer, or no size.
    UnboundSymbolError
        A size is missing.
    """

    def __init__(
        self, formulas: Mapping[str, Expr], *, single: bool = False, dtype: str | None = None
    ) -> None:
        if dtype not in (None, "float64"):
            raise InputError(f"dtype is {dtype!r}; allowed: None (exact), 'float64'")
        self._figures = tuple(formulas)
        self._single = single
        self._real = dtype is not None
        self._code = Code(Forms(formulas))
        program = self._code.program
        self.names = program.names
        """The sizes that the figures depend on."""
        self._pick = _picker(self.names)
        self._count = len(self.names)
        self._bare = single and not self._real
        # No point is known to stay in int64 yet.
        self._most = np.array([size.minimum - 1 for size in program.sizes], np.int64)
        self._fast = bool(self.names) and self._code.whole_numbers_fit

    def __repr__(self) -> str:
        return f"<{', '.join(self._figures)} of {', '.join(self.names)}>"

    def __call__(self, *values: Any, **sizes: Any) -> Any:
        """The figures at a point, or at all points that arrays of sizes span.

        Sizes are given by name, or all that the figures depend on by position, in the order of
        `names`, which is the fastest.
        """
        if not values:
            if len(sizes) != self._count:
                return self._of_arrays(sizes)
            try:
                values = self._pick(sizes)
            except KeyError as missing:
                raise _unbound(missing.args[0]) from None
        elif sizes or len(values) != self._count:
            raise InputError(
                f"{len(values)} sizes are given by position; allowed: {self._count} and no others, "
                f"{', '.join(self.names)}; or all by name"
            )
        if self._fast:
            for value in values:
                if type(value) is not int:
                    break
            else:
                try:
                    found = self._scalar(self._most, *values)
                    if found[0]:
                        return found[1] if self._bare else self._told(found[1:])
                except OverflowError:
                    pass
                return self._of_new_point(values)
        return self._of_arrays(dict(zip(self.names, values, strict=True)))

    @cached_property
    def _scalar(self) -> Any:
        return self._code.scalar

    def _told(self, figures: Sequence[Any]) -> Any:
        """Figures as they were asked for."""
        if self._real:
            figures = [float(figure) for figure in figures]
        return figures[0] if self._single else dict(zip(self._figures, figures, strict=True))

    def _of_new_point(self, values: tuple[int, ...]) -> Any:
        """The figures of a point of which it is not known yet that int64 is enough."""
        for info, value in zip(self._code.program.sizes, values, strict=True):
            info.check(value)
        if self._widen(values):
            return self(*values)
        return self._of_arrays(dict(zip(self.names, values, strict=True)))

    def _widen(self, values: tuple[int, ...]) -> bool:
        """Let points up to about these be computed in int64, if nothing overflows there."""
        most = [
            max(int(before), (1 << value.bit_length()) - 1)
            for before, value in zip(self._most, values, strict=True)
        ]
        sizes = self._code.program.sizes
        ranges = {size.name: (size.minimum, top) for size, top in zip(sizes, most, strict=True)}
        if not Evaluation(self._code, ranges).fits:
            return False
        self._most = np.array(most, np.int64)
        return True

    def _of_arrays(self, sizes: Mapping[str, Any]) -> Any:
        given = {name: _given(name, value) for name, value in sizes.items()}
        shape = _common_shape(given)
        # A point is computed as an array of one.
        spread = shape or (1,)
        if 0 in shape:
            found = [np.empty(shape, np.float64 if self._real else np.int64) for _ in self._figures]
        else:
            for name in self.names:
                if name not in given:
                    raise _unbound(name)
            arrays = [given[name].array for name in self.names]
            found = self._over(given)([a.reshape(_aligned(a, spread)) for a in arrays], spread)
        results = found if shape else [figure.reshape(-1)[0] for figure in found]
        if not shape:
            results = [r.item() if isinstance(r, np.generic) else r for r in results]
        return results[0] if self._single else dict(zip(self._figures, results, strict=True))

    def within(self, ranges: Ranges) -> Evaluation:
        """How figures are computed for sizes of so much, least and greatest, by name."""
        return Evaluation(self._code, ranges, real=self._real)

    def relative_error(self, **sizes: Any) -> float:
        """The worst relative error of a figure in float64 for some sizes, numbers or arrays."""
        given = {name: _given(name, value) for name, value in sizes.items()}
        for name in self.names:
            if name not in given:
                raise _unbound(name)
        return self._over(given).relative_error if 0 not in _common_shape(given) else 0.0

    def _over(self, sizes: Mapping[str, _Given]) -> Evaluation:
        """How figures are computed for sizes, none of them empty."""
        used = {name: sizes[name] for name in self.names}
        return Evaluation(
            self._code,
            {name: size.range for name, size in used.items()},
            real=self._real,
            whole=all(size.whole for size in used.values()),
        )


def _picker(names: tuple[str, ...]) -> Any:
    """What takes the values of names out of a dictionary, as a tuple."""
    if len(names) > 1:
        return operator.itemgetter(*names)
    return lambda sizes: tuple(sizes[name] for name in names)


def _info(name: str) -> SymbolInfo:
    if name not in CATALOGUE:
        raise InputError(f"{name} is no size; allowed: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def _unbound(name: str) -> UnboundSymbolError:
    info = CATALOGUE[name]
    return UnboundSymbolError(f"{name} ({info.meaning}) has no value; give it one, a {info.domain}")


def _common_shape(sizes: Mapping[str, _Given]) -> tuple[int, ...]:
    shapes = {name: size.array.shape for name, size in sizes.items()}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
        raise InputError(f"sizes do not broadcast; their shapes are {told}") from None


@dataclass(frozen=True, eq=False)
class _Given:
    """A size as it was given: int64 or Python numbers, and what none lies below and above."""

    array: NDArray[Any]
    range: tuple[int, int]
    whole: bool = True


def _given(name: str, value: Any) -> _Given:
    """A size, all of whose values lie in its domain."""
    info = _info(name)
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(f"{name} is given with a mask; leave out what is masked")
    array = _array(value)
    if array.dtype.kind not in "iuO":
        raise InputError(
            f"{name} is given as {array.dtype}; allowed: integers, numbers or arrays of them"
        )
    if not array.size:
        return _Given(array, (0, 0))
    if array.dtype != object:
        least, greatest = int(array.min()), int(array.max())
        info.check(least)
        # Steps are powers of two: a bit below the step in any value is one in their union.
        if np.bitwise_or.reduce(array, axis=None) % info.multiple_of:
            info.check(int(array[array % info.multiple_of != 0][0]))
        return _Given(
            array.astype(np.int64 if greatest < 1 << 63 else object, copy=False), (least, greatest)
        )
    for number in array.flat:
        info.check(number)
    whole = all(number.denominator == 1 for number in array.flat)
    return _Given(array, (math.floor(array.min()), math.ceil(array.max())), whole)


def _array(value: Any) -> NDArray[Any]:
    if not isinstance(value, list | tuple):
        return np.asarray(value)
    # Without a type, True stays what it is, and integers beyond int64 do not become floats.
    objects = np.array(value, object)
    if all(kind is int or issubclass(kind, np.integer) for kind in set(map(type, objects.flat))):
        integers = np.asarray(value)
        return integers if integers.dtype.kind in "iu" else objects
    return objects


def _aligned(size: NDArray[Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a size with as many dimensions as the result."""
    return (1,) * (len(shape) - size.ndim) + size.shape
