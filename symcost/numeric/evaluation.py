"""How figures are computed where sizes lie in known ranges: in which numbers, and by which loop."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.numeric import machine
from symcost.numeric.boxes import Boxes
from symcost.numeric.forms import Atom, Figure, Forms, Kind, Polynomial
from symcost.numeric.grids import Contraction, contraction
from symcost.numeric.program import FLOAT64_LIMIT, INT64_LIMIT, Bound, Op, Program, Ranges

Sizes: TypeAlias = Sequence[NDArray[Any]]
"""One array for each size of a program; all have the dimensions of the result, or 1 of them."""

_BLOCK = 1 << 16
"""Points whose sizes are laid side by side at a time."""
_FEW = 1 << 13
"""So many points are computed sooner than machine code is made."""
_WORTHWHILE = 4
"""Points for each row and column of a grid, at least."""
_ROUNDING = 2.0**-53
"""The relative error of one rounded operation."""
_OF_WHOLE_NUMBERS = (Op.FLOOR, Op.QUOTIENT, Op.MAGNITUDE, Op.LOOKUP)


class Code:
    """A program, and its machine code, which is made when it is needed first."""

    def __init__(self, forms: Forms) -> None:
        self.forms = forms
        self.program = Program(forms.atoms, forms.figures)
        self.points = cache(lambda number: machine.points(self.program, number))

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own machine code."""
        return Code, (self.forms,)

    @property
    def whole_numbers_fit(self) -> bool:
        """Whether figures are whole numbers, and what the steps hold does not leave int64."""
        program = self.program
        largest = max(map(abs, program.numbers), default=0)
        return set(program.denominators) <= {1} and largest < INT64_LIMIT

    @cached_property
    def scalar(self) -> Any:
        """The figures of one point."""
        return machine.scalar(self.program)


class Evaluation:
    """Figures of points whose sizes lie in ranges.

    Figures are computed in int64 where no intermediate result leaves it. One that is no whole
    number is given in float64 where that is exact. Otherwise they are Python numbers.

    Parameters
    ----------
    code : Code
        What is computed.
    ranges : mapping of str to (int, int)
        What no value of a size lies below and above.
    real : bool
        Give all figures in float64, rounded.
    whole : bool
        Whether all sizes are integers.
    """

    def __init__(
        self, code: Code, ranges: Ranges, *, real: bool = False, whole: bool = True
    ) -> None:
        self._code = code
        self._program = code.program
        self._real = real
        self._bounds = self._program.bounds(ranges)
        numbers = [*self._program.numbers, *self._program.denominators]
        self._in_integers = whole and max(map(abs, numbers)) < INT64_LIMIT
        self._grids: dict[tuple[frozenset[str], ...], tuple[Contraction, ...] | None] = {}

    def _largest_argument(self, *ops: Op) -> int:
        """The largest magnitude of what some operations are applied to."""
        steps = self._program.steps
        return max((self._bounds[a].reach for op, a, _ in steps if op in ops), default=0)

    @cached_property
    def fits(self) -> bool:
        """Whether sizes are integers, and no intermediate result leaves int64."""
        return (
            self._in_integers
            and max(bound.reach for bound in self._bounds) < INT64_LIMIT
            and self._largest_argument(Op.FLOOR) < machine.SMALL_QUOTIENT
        )

    @cached_property
    def _number(self) -> str | None:
        """The machine numbers that are computed in, if there are any."""
        if self.fits:
            return "int64"
        whole = self._in_integers and self._largest_argument(*_OF_WHOLE_NUMBERS) < FLOAT64_LIMIT
        return "float64" if self._real and whole else None

    @cached_property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The type of each figure."""
        return tuple(map(self._dtype, self._program.results, self._program.denominators))

    def _dtype(self, row: int, denominator: int) -> np.dtype[Any]:
        if self._real:
            return np.dtype(np.float64)
        if self.fits and denominator == 1:
            return np.dtype(np.int64)
        exact = self.fits and self._exact_in_floats(row, denominator)
        return np.dtype(np.float64 if exact else object)

    @property
    def exact_in_floats(self) -> tuple[bool, ...]:
        """Whether float64 holds each figure exactly."""
        return tuple(map(self._exact_in_floats, self._program.results, self._program.denominators))

    def _exact_in_floats(self, row: int, denominator: int) -> bool:
        return denominator.bit_count() == 1 and self._bounds[row].reach < FLOAT64_LIMIT

    @cached_property
    def relative_error(self) -> float:
        """The worst relative error of a figure in float64, in whatever order it is computed."""
        worst = 0.0
        for figure, row in zip(self._program.figures, self._program.results, strict=True):
            exact = self._in_integers and figure.candidates[0].denominator.bit_count() == 1
            if not (exact and self._bounds[row].reach < FLOAT64_LIMIT):
                operations = max(map(self._roundings, figure.candidates))
                worst = max(worst, operations * _ROUNDING * _amplified(self._bounds[row]))
        return worst

    def _roundings(self, polynomial: Polynomial) -> int:
        """How often a term is rounded: its factors, its coefficient, its place in the sum."""
        atoms = self._code.forms.atoms
        factors = [sum(1 + self._roundings_of(atoms[a]) for a in t) for t in polynomial.terms]
        return len(polynomial.terms) + max(factors, default=0) + 3

    def _roundings_of(self, atom: Atom) -> int:
        clamped = atom.kind in (Kind.LEAST, Kind.GREATEST)
        return max(map(self._roundings, atom.arguments)) if clamped else 1

    @property
    def names(self) -> tuple[str, ...]:
        """The sizes, in the order in which they are given."""
        return self._program.names

    @property
    def in_machine_numbers(self) -> bool:
        """Whether figures are computed in int64, or rounded in float64 if that was asked for."""
        return self._number is not None

    @property
    def overflow(self) -> tuple[str, int] | None:
        """A figure that int64 may not hold, and how large it or what it is made of can be."""
        if self.fits:
            return None
        results = zip(self._program.figures, self._program.results, strict=True)
        reaches = [(self._bounds[row].reach, figure.name) for figure, row in results]
        reach, name = max(reaches)
        return name, max(reach, INT64_LIMIT)

    def __call__(self, sizes: Sizes, shape: tuple[int, ...]) -> list[NDArray[Any]]:
        """The figures, each an array of the shape."""
        if self._number is None or np.dtype(object) in self.dtypes:
            return self._in_python(sizes, shape)
        found = [np.empty(shape, dtype) for dtype in self.dtypes]
        if math.prod(shape) <= _FEW:
            self._step_by_step(sizes, found)
            return found
        grids = self._contractions(sizes, shape)
        if grids is not None:
            for grid, figure in zip(grids, found, strict=True):
                grid.fill(sizes, _inner_axes(sizes, shape).start, figure)
        elif not self._in_two(sizes, found):
            self._point_by_point(sizes, found)
        return found

    def _in_two(self, sizes: Sizes, found: Sequence[NDArray[Any]]) -> bool:
        """Compute a grid in two parts, if most of it is a product of axes; whether it was done.

        So many tokens choose all experts, but the number that few choose mixes batch and context.
        """
        shape = found[0].shape
        if not (self.fits and _inner_axes(sizes, shape)):
            return False
        mixed = self._mixed(sizes)
        starts = {
            axis: self._settled(mixed, sizes, axis)
            for axis in range(len(shape))
            if mixed.figures and any(_varies(size, [axis]) for size in sizes)
        }
        axis = min(starts, key=lambda a: starts[a] / shape[a], default=0)
        if not starts or starts[axis] > shape[axis] // 2:
            return False
        for first, last in ((starts[axis], shape[axis]), (0, starts[axis])):
            if first == last:
                continue
            part = (slice(None),) * axis + (slice(first, last),)
            own, length = [_part(size, axis, first, last) for size in sizes], found[0][part].shape
            figures = Evaluation(self._code, _ranges(self.names, own), real=self._real)
            if last == shape[axis] and figures._contractions(own, length) is None:
                return False
            for figure, values in zip(found, figures(own, length), strict=True):
                figure[part] = values
        return True

    def _mixed(self, sizes: Sizes) -> Program:
        """The atoms that vary with sizes of several axes."""
        axes = {
            name: {axis for axis, length in enumerate(size.shape) if length > 1}
            for name, size in zip(self.names, sizes, strict=True)
        }
        atoms = self._code.forms.atoms
        figures = [
            Figure(str(number), (Polynomial({(number,): 1}),), whole=True)
            for number, atom in enumerate(atoms)
            if len(set[int]().union(*(axes.get(name, set()) for name in atom.names))) > 1
        ]
        return Program(atoms, figures)

    def _settled(self, mixed: Program, sizes: Sizes, axis: int) -> int:
        """The place on an axis from which on all of these atoms have a single value."""

        def settled(first: int) -> bool:
            ranges = _ranges(self.names, [_part(size, axis, first, None) for size in sizes])
            bounds = mixed.bounds(ranges)
            return all(bounds[row].low == bounds[row].high for row in mixed.results)

        length = max(size.shape[axis] for size in sizes)
        return bisect_left(range(length), True, key=settled)

    def _in_python(self, sizes: Sizes, shape: tuple[int, ...]) -> list[NDArray[Any]]:
        """The figures in Python numbers of any length."""
        rows = self._program.evaluate(sizes, object)
        found = []
        columns = zip(rows, self._program.denominators, self.dtypes, strict=True)
        for row, denominator, dtype in columns:
            simplest = np.frompyfunc(lambda value, over=denominator: _quotient(value, over), 1, 1)
            figure = np.broadcast_to(simplest(row), shape)
            found.append(figure.astype(dtype))
        return found

    def _contractions(self, sizes: Sizes, shape: tuple[int, ...]) -> tuple[Contraction, ...] | None:
        """The figures as products over axes, where each of them is one, and it is worth it."""
        inner = _inner_axes(sizes, shape)
        whole = all(denominator == 1 for denominator in self._program.denominators)
        if not (inner and self.fits and whole):
            return None
        names = self._program.names
        outer_sizes, inner_sizes = (
            frozenset(n for n, size in zip(names, sizes, strict=True) if _varies(size, axes))
            for axes in (range(inner.start), inner)
        )
        key = outer_sizes, inner_sizes
        if key not in self._grids:
            atoms, constants = self._code.forms.atoms, self._program.constants(self._bounds)
            grids = [
                contraction(atoms, figure, key, constants, names)
                for figure in self._program.figures
            ]
            products = [grid for grid in grids if grid is not None]
            self._grids[key] = tuple(products) if len(products) == len(grids) else None
        return self._grids[key]

    def _step_by_step(self, sizes: Sizes, found: Sequence[NDArray[Any]]) -> None:
        """The figures of a few points, for which making machine code takes longer."""
        rows = self._program.evaluate(sizes, self._number)
        for figure, row, over in zip(found, rows, self._program.denominators, strict=True):
            figure[...] = row if over == 1 else row / over

    def _point_by_point(self, sizes: Sizes, found: Sequence[NDArray[Any]]) -> None:
        """The figures of points whose sizes are laid side by side."""
        compute = self._code.points(self._number)
        flat = [figure.reshape(-1) for figure in found]
        for box in Boxes(found[0].shape, _BLOCK):
            block = np.empty((len(sizes), box.size), self._number)
            for row, size in zip(block, sizes, strict=True):
                row.reshape(box.shape)[...] = _cut(size, box.slices)
            out = np.empty((len(found), box.size), np.float64 if self._real else np.int64)
            compute(block, out)
            for figure, row, over in zip(flat, out, self._program.denominators, strict=True):
                figure[box.first : box.first + box.size] = row if over == 1 else row / over


def _inner_axes(sizes: Sizes, shape: tuple[int, ...]) -> range:
    """Trailing axes that make rows of a grid, none where that is not worth it.

    No size varies along one of them and along others. Rows and columns are computed point by point,
    so they are to be few compared with the points.
    """
    found, least = range(0), math.prod(shape) // _WORTHWHILE
    for first in range(1, len(shape)):
        inner, outer = range(first, len(shape)), range(first)
        factors = math.prod(shape[:first]) + math.prod(shape[first:])
        if factors < least and not any(_varies(s, inner) and _varies(s, outer) for s in sizes):
            found, least = inner, factors
    return found


def _varies(size: NDArray[Any], axes: Iterable[int]) -> bool:
    return any(size.shape[axis] > 1 for axis in axes)


def _part(size: NDArray[Any], axis: int, first: int, last: int | None) -> NDArray[Any]:
    """A size between two places of an axis."""
    cut = (slice(None),) * axis + (slice(first, last),)
    return size[cut] if size.shape[axis] > 1 else size


def _ranges(names: Sequence[str], sizes: Sizes) -> Ranges:
    return {n: (int(s.min()), int(s.max())) for n, s in zip(names, sizes, strict=True)}


def _cut(size: NDArray[Any], slices: Sequence[slice]) -> NDArray[Any]:
    """The part of a size that belongs to a box."""
    lengths = zip(size.shape, slices, strict=True)
    return size[tuple(cut if length > 1 else slice(None) for length, cut in lengths)]


def _quotient(value: Any, denominator: int) -> int | Fraction:
    quotient = Fraction(value) / denominator
    return quotient.numerator if quotient.denominator == 1 else quotient


def _amplified(bound: Bound) -> float:
    """How much larger than a sum its positive and negative terms together can be."""
    if not bound.negative:
        return 1.0
    return 1 + 2 * bound.negative / bound.low if bound.low > 0 else math.inf
