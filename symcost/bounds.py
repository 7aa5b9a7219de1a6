"""What is proved of formulas: that one is never below zero wherever its symbols are legal.

What is known of symbols (domains) and of rounded sizes (bounds) makes every formula a polynomial in
quantities that are not negative. One without negative coefficients is not negative either; that is
the only kind of proof made here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import sympy as sp
from sympy import QQ
from sympy.polys.rings import PolyRing

from symcost.symbols import CROPS, Expr, info_of, n_h, n_w

Polynomial: TypeAlias = Any
"""An element of a sympy ring: coefficients by exponents, with exact arithmetic."""
Range: TypeAlias = tuple[int, int | None]
"""The first and the last value of a symbol; None where there is no last one."""
Ranges: TypeAlias = Mapping[sp.Symbol, Range]

_GRIDS: Mapping[sp.Rel, Ranges] = {
    sp.Eq(CROPS, 0, evaluate=False): dict.fromkeys((n_w, n_h), (0, 0)),
    sp.Ge(CROPS, 1, evaluate=False): dict.fromkeys((n_w, n_h), (1, None)),
}
"""A crop grid has neither rows nor columns, or both."""


def first_value(symbol: sp.Symbol) -> int:
    """The smallest value of a symbol; what is no integer comes as close to zero as it likes."""
    info = info_of(symbol)
    return -(-info.minimum // info.multiple_of) * info.multiple_of if info.integer else 0


class Region:
    """Points whose symbols lie in ranges, and what can be proved of formulas there.

    A formula is read as a polynomial in what symbols exceed their first value by, and in what
    rounded sizes exceed their lower bound by. Neither is negative; some have an upper bound.
    """

    def __init__(self, ring: PolyRing, ranges: Ranges) -> None:
        self._ring = ring
        self._ranges = ranges
        self._index = {generator: index for index, generator in enumerate(ring.symbols)}
        self._most: dict[int, Any] = {}
        self._any_sign: set[int] = set()
        self._whole: set[int] = set()
        self._known: dict[Expr, Polynomial] = {}

    def narrowed(self, ranges: Ranges) -> Region:
        """The part of it in which further ranges hold."""
        return Region(self._ring, {**self._ranges, **ranges})

    def range_of(self, symbol: sp.Symbol) -> Range:
        """The first and the last value of a symbol."""
        first = first_value(symbol)
        low, high = self._ranges.get(symbol, (first, None))
        return max(low, first), high

    def read(self, formula: Expr) -> Polynomial:
        """A formula as a polynomial in quantities that are not negative."""
        if formula not in self._known:
            self._known[formula] = self._read(formula)
        return self._known[formula]

    def _read(self, formula: Expr) -> Polynomial:
        if isinstance(formula, sp.Rational):
            return self._ring.ground_new(QQ(int(formula.p), int(formula.q)))
        if isinstance(formula, sp.Add):
            return self._ring.add(*map(self.read, formula.args))
        if isinstance(formula, sp.Mul):
            return self._ring.mul(*map(self.read, formula.args))
        base, exponent = formula.as_base_exp()
        if exponent.is_Integer and exponent > 1:
            return self.read(base) ** int(exponent)
        readers: dict[type[Expr], Callable[[Expr], Polynomial]] = {
            sp.Symbol: self._read_symbol,
            sp.ceiling: self._read_rounded,
            sp.floor: self._read_rounded,
            sp.Abs: self._read_magnitude,
            sp.Min: self._read_smallest,
            sp.Pow: self._read_power,
        }
        return readers.get(formula.func, self._read_other)(formula)

    def _read_other(self, formula: Expr) -> Polynomial:
        """Something of which no more than its sign is known, if that."""
        if not formula.is_nonnegative:
            self._any_sign.add(self._index[formula])
        return self._rest(formula)

    def _read_magnitude(self, formula: Expr) -> Polynomial:
        value = self.read(formula.args[0])
        for side in (value, -value):
            if self.not_negative(side):
                return side
        return self._read_other(formula)

    def _read_smallest(self, formula: Expr) -> Polynomial:
        values = [self.read(argument) for argument in formula.args]
        for value in values:
            if all(self.not_negative(other - value) for other in values):
                return value
        if not all(map(self.not_negative, values)):
            return self._read_other(formula)
        numbers = [value.coeff(1) for value in values if value.is_ground]
        return self._rest(formula, min(numbers, default=None))

    def _read_power(self, formula: Expr) -> Polynomial:
        """A number below one to the power of a size lies between the powers of the size's ends."""
        base, exponent = formula.args
        if not (base.is_Rational and 0 < base < 1):
            return self._read_other(formula)
        size = self.read(exponent)
        least, most = self.least(size), self.least(-size)
        if least is None:
            return self._read_other(formula)
        number = QQ(int(base.p), int(base.q))
        high = number ** math.floor(least)
        low = QQ(0) if most is None else number ** math.ceil(-most)
        return low + self._rest(formula, high - low) if low < high else self._ring.ground_new(low)

    def _read_symbol(self, symbol: sp.Symbol) -> Polynomial:
        info = info_of(symbol)
        low, high = self.range_of(symbol)
        if low == high:
            return self._ring.ground_new(low)
        if info.integer:
            self._whole.add(self._index[symbol])
        most = None if high is None else (high - low) // info.multiple_of
        return low + info.multiple_of * self._rest(symbol, most)

    def _read_rounded(self, formula: Expr) -> Polynomial:
        """A value rounded: what it is rounded by is less than one, in steps of its denominator."""
        value = self.read(formula.args[0])
        up = isinstance(formula, sp.ceiling)
        if value.is_ground:
            number = value.coeff(1)
            return self._ring.ground_new(math.ceil(number) if up else math.floor(number))
        most = QQ(1)
        if all(index in self._whole for index in _used(value)):
            most -= QQ(1, math.lcm(*(int(number.denominator) for number in value.values())))
        rest = self._rest(formula, most)
        return value + rest if up else value - rest

    def _rest(self, formula: Expr, most: Any = None) -> Polynomial:
        index = self._index[formula]
        if most is not None:
            self._most[index] = QQ(most)
        return self._ring.gens[index]

    def least(self, value: Polynomial) -> Any:
        """A number that a value read here is never below, or None where none is found."""
        return self._least(dict(value))

    def _least(self, terms: dict[tuple[int, ...], Any]) -> Any:
        """Negative terms are made smaller until what is bounded has left them."""
        constant = (0,) * self._ring.ngens
        pending = [term for term, number in terms.items() if number < 0 and term != constant]
        if any(terms[term] for term in terms for i in self._any_sign if term[i]):
            return None
        if any(not any(term[i] for i in self._most) for term in pending):
            return None
        while pending:
            # The highest powers first: what they leave may be made up for by lower ones.
            pending.sort(key=lambda term: sum(term[i] for i in self._most))
            term = pending.pop()
            number = terms.pop(term)
            index = next((i for i in self._most if term[i]), None)
            if index is None:
                return None
            lower = (*term[:index], term[index] - 1, *term[index + 1 :])
            terms[lower] = terms.get(lower, QQ(0)) + number * self._most[index]
            if terms[lower] < 0 and lower != constant and lower not in pending:
                pending.append(lower)
        return terms.get(constant, QQ(0))

    def not_negative(self, value: Polynomial) -> bool:
        """Whether it is proved that a value is never below zero."""
        least = self.least(value)
        return least is not None and least >= 0

    def positive(self, value: Polynomial) -> bool:
        """Whether it is proved that a value is always above zero."""
        least = self.least(value)
        return least is not None and least > 0

    def implied(
        self,
        value: Polynomial,
        given: Polynomial,
        *,
        most: int | None = None,
        strict: bool = False,
    ) -> bool:
        """Whether a multiple of what is given, at most so much, is proved not to exceed a value.

        Strictly, it is proved to stay below.
        """
        low, high = QQ(0), None if most is None else QQ(most)
        for term in {*value, *given}:
            if any(term[i] for i in self._most):
                continue
            number, factor = value.get(term, QQ(0)), given.get(term, QQ(0))
            if factor > 0:
                high = number / factor if high is None else min(high, number / factor)
            elif factor < 0:
                low = max(low, number / factor)
            elif number < 0:
                return False
        if high is None:
            high = 2 * low + 1
        proved = self.positive if strict else self.not_negative
        return low <= high and any(
            proved(value - factor * given) for factor in (low, (low + high) / 2, high)
        )


def regions_of(formulas: Iterable[Expr]) -> dict[sp.Rel, Region]:
    """All legal points of formulas: those without crops and those with."""
    generators = {part for formula in formulas for part in _generators(formula)}
    ring = PolyRing(sorted(generators, key=sp.default_sort_key) or [CROPS], QQ)
    grids = _GRIDS if {n_w, n_h} <= generators else {sp.true: {}}
    return {grid: Region(ring, ranges) for grid, ranges in grids.items()}


def _generators(formula: Expr) -> Iterator[Expr]:
    """What is no number, sum, product or power: symbols, rounded sizes and what these contain."""
    for part in sp.preorder_traversal(formula):
        base, exponent = part.as_base_exp()
        power = base != part and exponent.is_Integer and exponent > 1
        if not (part.is_Number or power or isinstance(part, sp.Add | sp.Mul)):
            yield part


def _used(value: Polynomial) -> set[int]:
    return {index for term in value for index, exponent in enumerate(term) if exponent}
