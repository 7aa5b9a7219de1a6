"""The largest of several formulas: those that can be it, and the domain on which each one is.

A formula is dropped, and a domain narrowed, by proof only (`symcost.bounds`). What cannot be proved
stays, so no result is ever too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, TypeAlias

import sympy as sp

from symcost.bounds import Polynomial, Range, Region, first_value, regions_of
from symcost.exact import Bindings, Evaluator, Number
from symcost.symbols import CATALOGUE, ZERO, Expr, info_of, n_h, n_w

Condition: TypeAlias = sp.Rel | sp.And | sp.Or
"""An inequality, or several of them where the values of a symbol are not one range."""

_COMPARE: Mapping[type[sp.Rel], Callable[[Any, Any], bool]] = {
    sp.Eq: lambda left, right: left == right,
    sp.Ge: lambda left, right: left >= right,
    sp.Gt: lambda left, right: left > right,
    sp.Le: lambda left, right: left <= right,
    sp.Lt: lambda left, right: left < right,
}


_POINTS = 8
"""Points at which formulas are looked at before anything is proved of them."""


def largest(amounts: Iterable[Expr]) -> Expr:
    """The maximum of amounts, without those that provably never exceed the others."""
    amounts = [part for a in amounts for part in (a.args if isinstance(a, sp.Max) else (a,))]
    if all(isinstance(amount, sp.Rational) for amount in amounts):
        return max(amounts, default=ZERO)
    return _largest(tuple(amounts))


@cache
def _largest(amounts: tuple[Expr, ...]) -> Expr:
    winners = sorted(candidates(amounts), key=sp.default_sort_key)
    return sp.Max(*winners, evaluate=False) if len(winners) > 1 else winners[0]


def candidates(amounts: Iterable[Expr]) -> list[Expr]:
    """The amounts that can be the largest, each once, in the order given.

    Dropped is what another amount, or a weighted mean of two others, is never below.
    """
    expanded = {sp.expand(a): a for a in reversed(list(amounts))}
    formulas = list(reversed(expanded))
    everywhere = list(regions_of(formulas).values())
    read = {f: [region.read(f) for region in everywhere] for f in formulas}
    points = _points({symbol for formula in formulas for symbol in formula.free_symbols})
    seen = {f: [value(f) for value in points] for f in formulas}

    def below(small: Expr, *large: Expr) -> bool:
        # What is larger somewhere need not be tried to be proved smaller.
        if any(low > max(high) for low, *high in zip(*map(seen.get, (small, *large)), strict=True)):
            return False
        return all(
            region.not_negative(first - low)
            if first is second
            else region.implied(second - low, second - first, most=1)
            for region, low, first, second in zip(
                everywhere, read[small], read[large[0]], read[large[-1]], strict=True
            )
        )

    left: list[Expr] = []
    for formula in formulas:
        if not any(below(formula, other) for other in left):
            left = [other for other in left if not below(other, formula)] + [formula]
    for formula in tuple(left):
        others = [other for other in left if other != formula]
        if any(below(formula, *pair) for pair in combinations(others, 2)):
            left = others
    return [expanded[formula] for formula in formulas if formula in left]


def _points(symbols: set[sp.Symbol]) -> list[Evaluator]:
    """A few legal points, of sizes that are small and large in turn."""
    points = []
    for turn in range(_POINTS):
        sizes: dict[sp.Symbol, Number] = {}
        for position, symbol in enumerate(sorted(symbols, key=str)):
            info, large = info_of(symbol), 4 ** ((position + 1) * (turn + 1) % 7)
            sizes[symbol] = first_value(symbol) + info.multiple_of * (large - info.integer)
        grid = {n_w, n_h} & symbols
        sizes |= dict.fromkeys(grid, 0) if turn % 2 else {s: sizes[s] + 1 for s in grid}
        points.append(Evaluator(sizes))
    return points


@dataclass(frozen=True)
class Peak:
    """A moment that can be the peak, and where it is.

    Parameters
    ----------
    path : str
        The first module path with this amount.
    amount : sympy.Expr
        Bytes that are live.
    conditions : tuple of sympy.Rel or sympy.Or
        All of them hold exactly where the amount is the peak, equal ones going to the earlier.
        Those of a single symbol come first, by its values; then sums of positive terms.
    """

    path: str
    amount: Expr
    conditions: tuple[Condition, ...]

    def holds(self, bindings: Bindings) -> bool:
        """Whether this is the peak at a point."""
        value = Evaluator(bindings)
        return all(_is_true(condition, value) for condition in self.conditions)


def _is_true(condition: Condition, value: Evaluator) -> bool:
    if isinstance(condition, sp.And | sp.Or):
        parts = [_is_true(part, value) for part in condition.args]
        return all(parts) if isinstance(condition, sp.And) else any(parts)
    return _COMPARE[condition.func](value(condition.lhs), value(condition.rhs))


def peaks(moments: Iterable[tuple[str, Expr]]) -> tuple[Peak, ...]:
    """The peak of named amounts by cases: exactly one of them holds at every legal point.

    Parameters
    ----------
    moments : iterable of (str, sympy.Expr)
        Amounts by path, such as `Cost.moments` of a cost whose byte widths are bound.
    """
    paths: dict[Expr, str] = {}
    for path, amount in moments:
        paths.setdefault(sp.expand(amount), path)
    formulas = [sp.expand(amount) for amount in candidates(paths)]
    found: list[Peak] = []
    for position, formula in enumerate(formulas):
        margins = [
            _Margin(sp.expand(formula - other), strict=earlier < position)
            for earlier, other in enumerate(formulas)
            if earlier != position
        ]
        conditions = _Domain(margins).conditions()
        if conditions is not None:
            found.append(Peak(paths[formula], formula, conditions))
    return tuple(found)


@dataclass(frozen=True)
class _Margin:
    """What one formula exceeds another by, wanted positive or at least not negative."""

    formula: Expr
    strict: bool

    def holds(self, region: Region) -> bool:
        """Whether it is proved to be so all over a region."""
        return self._proved(region, region.read(self.formula), strict=self.strict)

    def fails(self, region: Region) -> bool:
        """Whether it is proved to be so nowhere in a region."""
        return self._proved(region, -region.read(self.formula), strict=not self.strict)

    @staticmethod
    def _proved(region: Region, value: Polynomial, *, strict: bool) -> bool:
        return region.positive(value) if strict else region.not_negative(value)

    def follows(self, region: Region, other: _Margin) -> bool:
        """Whether it is proved to be so wherever another margin is as wanted."""
        value, given = region.read(self.formula), region.read(other.formula)
        return region.implied(value, given, strict=self.strict)

    def values(self, symbol: sp.Symbol, regions: Sequence[Region]) -> list[Range] | None:
        """The values of a symbol with which it is so, whatever the others; None if they matter."""
        step = info_of(symbol).multiple_of
        ((first, last), *different) = {region.range_of(symbol) for region in regions}

        def proved(low: int, high: int | None) -> bool | None:
            parts = [region.narrowed({symbol: (low, high)}) for region in regions]
            if all(map(self.holds, parts)):
                return True
            return False if all(map(self.fails, parts)) else None

        if different or proved(first, first) is None:
            return None
        pending: list[Range] = [(first, last)]
        if last is None:
            tails = (first + step * 2**bits for bits in _TAILS)
            tail = next((low for low in tails if proved(low, None) is not None), None)
            if tail is None:
                return None
            pending = [(tail, None), (first, tail - step)]
        found: list[Range] = []
        while pending:
            low, high = pending.pop()
            so = proved(low, high)
            if so is None:
                if high is None or low == high:
                    return None
                middle = low + (high - low) // step // 2 * step
                pending += [(middle + step, high), (low, middle)]
            elif so and found and found[-1][1] == low - step:
                found[-1] = found[-1][0], high
            elif so:
                found.append((low, high))
        return found

    def reduced(self, regions: Sequence[Region]) -> _Margin:
        """The same without the common factors that are positive, in the least whole numbers."""

        def positive(base: Expr) -> bool:
            return base.is_positive or all(region.positive(region.read(base)) for region in regions)

        terms = _terms(self.formula)
        powers = [term.as_powers_dict() for term in terms]
        bases = {base for base in powers[0] if base.free_symbols and positive(base)}
        common = sp.Mul(*(base ** min(power[base] for power in powers) for base in bases))
        numbers = list(terms.values())
        scale = sp.Rational(math.lcm(*(n.q for n in numbers)), math.gcd(*(n.p for n in numbers)))
        return _Margin(sp.Add(*(n * scale * t / common for t, n in terms.items())), self.strict)

    def relation(self) -> sp.Rel:
        """It as an inequality between sums of positive terms, or with a number on the right."""
        strict = self.strict
        terms: Mapping[Expr, sp.Rational] = _terms(self.formula)
        whole, whole_strict = _rounded(terms, strict=strict)
        solved = _solved(whole)
        if solved != whole or len(_signs(whole)) == 1:
            # Otherwise numbers stand among terms on both sides, where rounding shows nothing.
            terms, strict = solved, whole_strict
        growing = {term: number for term, number in terms.items() if _grows(term)}
        rest = sp.Add(*(n * t for t, n in terms.items() if t not in growing))
        left = sp.Add(*(n * t for t, n in growing.items() if n > 0))
        right = sp.Add(*(-n * t for t, n in growing.items() if n < 0))
        if left == 0:
            return (sp.Lt if strict else sp.Le)(right, rest, evaluate=False)
        if right != 0 and rest.is_positive:
            left, rest = left + rest, ZERO
        return (sp.Gt if strict else sp.Ge)(left, right - rest, evaluate=False)


_TAILS = (0, 4, 8, 16, 32)
"""After how many powers of two of its steps a symbol is tried to be large enough."""


def _terms(formula: Expr) -> dict[Expr, sp.Rational]:
    return dict(sp.expand(formula).as_coefficients_dict())


def _grows(term: Expr) -> bool:
    return any(power > 0 for base, power in term.as_powers_dict().items() if base.free_symbols)


def _signs(terms: Mapping[Expr, sp.Rational]) -> set[bool]:
    return {number > 0 for term, number in terms.items() if _grows(term)}


def _rounded(
    terms: Mapping[Expr, sp.Rational], *, strict: bool
) -> tuple[Mapping[Expr, sp.Rational], bool]:
    """Terms with the least number that bounds the whole others as they are, and if strictly.

    Whole multiples of a divisor pass no bound between two multiples of it.
    """
    others = {term: number for term, number in terms.items() if term != 1}
    constant = terms.get(sp.S.One, ZERO)
    if not (constant and all(t.is_integer and n.is_Integer for t, n in others.items())):
        return terms, strict
    divisor = math.gcd(*(number.p for number in others.values()))
    share = constant / divisor
    bound = sp.ceiling(share) - 1 if strict else sp.floor(share)
    return {**{t: n / divisor for t, n in others.items()}, sp.S.One: bound}, False


def _solved(terms: Mapping[Expr, sp.Rational]) -> Mapping[Expr, sp.Rational]:
    """Terms divided by the factor of a symbol, where that leaves numbers and what they approach.

    So 80 B K + 264 <= 258480 B becomes K <= 3231 - 33 / (10 B).
    """
    for info in CATALOGUE.values():
        of_symbol = [term for term in terms if info.symbol in term.free_symbols]
        if len(of_symbol) != 1 or not info.integer:
            continue
        factor = of_symbol[0] / info.symbol
        known = factor != 1 and factor.is_positive and factor in terms
        if not known or info.symbol in factor.free_symbols:
            continue
        scale = abs(terms[of_symbol[0]])
        divided = {term / factor: number / scale for term, number in terms.items()}
        if len(_signs(divided)) == 1 and all(t.is_Symbol for t in divided if _grows(t)):
            return divided
    return terms


class _Domain:
    """Where all of some margins are as wanted, in a readable form."""

    def __init__(self, margins: Sequence[_Margin]) -> None:
        self._margins = list(margins)
        self._grids = regions_of(margin.formula for margin in margins)
        self._values: dict[sp.Symbol, list[Range]] = {}

    def conditions(self) -> tuple[Condition, ...] | None:
        """Conditions that hold exactly there, or None if that is proved to be nowhere."""
        everywhere = dict(self._grids)
        while self._solve_one():
            pass
        if not self._grids:
            return None
        for margin in tuple(self._margins):
            others = [other for other in self._margins if other is not margin]
            if all(
                any(margin.follows(region, other) for other in others) for region in self._regions()
            ):
                self._margins = others
        margins = [margin.reduced(self._regions()) for margin in self._margins]
        left_out = [region for grid, region in everywhere.items() if grid not in self._grids]
        told = all(any(margin.fails(region) for margin in margins) for region in left_out)
        return (
            *(() if told else self._grids),
            *(
                _one_of(symbol, ranges)
                for symbol, ranges in self._values.items()
                if ranges != [(first_value(symbol), None)]
            ),
            *(margin.relation() for margin in margins),
        )

    def _regions(self) -> list[Region]:
        """What is left of all points; of values of a symbol that have gaps, all from end to end."""
        ends = {symbol: (ranges[0][0], ranges[-1][1]) for symbol, ranges in self._values.items()}
        return [region.narrowed(ends) for region in self._grids.values()]

    def _solve_one(self) -> bool:
        """Tell a margin by the values of a symbol, which is the same on what is left."""
        left = zip(tuple(self._grids), self._regions(), strict=True)
        for grid, region in left:
            if any(margin.fails(region) for margin in self._margins):
                del self._grids[grid]
        regions = self._regions()
        self._margins = [m for m in self._margins if not all(map(m.holds, regions))]
        for margin in self._margins:
            for symbol in sorted(margin.formula.free_symbols, key=str):
                found = margin.values(symbol, regions) if symbol.is_integer else None
                if found is not None and len(found) <= _MOST_RANGES:
                    self._margins.remove(margin)
                    before = self._values.get(symbol, [(0, None)])
                    ranges = [both for a in before for b in found for both in _both(a, b)]
                    if not ranges:
                        self._grids.clear()
                        return False
                    self._values[symbol] = ranges
                    return True
        return False


_MOST_RANGES = 4
"""In more ranges than these, the values of a symbol say less than an inequality."""


def _both(one: Range, other: Range) -> list[Range]:
    """The values that lie in both ranges, if there are some."""
    low = max(one[0], other[0])
    high = min((end for end in (one[1], other[1]) if end is not None), default=None)
    return [(low, high)] if high is None or low <= high else []


def _one_of(symbol: sp.Symbol, ranges: Iterable[Range]) -> Condition:
    """That the value of a symbol lies in one of some ranges."""
    parts: list[Condition] = []
    for low, high in ranges:
        ends = []
        if low > first_value(symbol):
            ends.append(sp.Ge(symbol, low, evaluate=False))
        if high is not None:
            ends.append(sp.Le(symbol, high, evaluate=False))
        if low == high:
            ends = [sp.Eq(symbol, low, evaluate=False)]
        parts.append(ends[0] if len(ends) == 1 else sp.And(*ends, evaluate=False))
    return parts[0] if len(parts) == 1 else sp.Or(*parts, evaluate=False)
