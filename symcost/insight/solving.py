"""For which values of a size conditions hold: exactly, for all values, with the formula where one.

A condition compares two formulas. The sign of their difference is charted by proof
(`symcost.insight.signs`), so the answer is complete; a closed form is solved from the formula and
must agree with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import sympy as sp

from symcost.bounds import Range
from symcost.display import Displayed, Rounded, Sheet, Table
from symcost.errors import DomainError
from symcost.exact import Bindings, Evaluator, Number, as_rational, decimal_text
from symcost.formulas import text
from symcost.insight.closed_forms import ClosedForm
from symcost.insight.signs import Chart, sign_chart, sign_of_maxima
from symcost.symbols import Expr, info_of

HOLDS: Mapping[str, frozenset[int]] = {
    "<=": frozenset({-1, 0}),
    "<": frozenset({-1}),
    ">=": frozenset({0, 1}),
    ">": frozenset({1}),
    "==": frozenset({0}),
}
"""The signs of left minus right for which a comparison holds."""


@dataclass(frozen=True)
class Condition:
    """A comparison of two formulas.

    Parameters
    ----------
    text : str
        How it is told.
    left, right : sympy.Expr
        What is compared.
    operator : {"<=", "<", ">=", ">", "=="}
        How.
    """

    text: str
    left: Expr
    operator: str
    right: Expr

    def holds(self, evaluator: Evaluator) -> bool:
        """Whether it holds at a point."""
        left, right = evaluator(self.left), evaluator(self.right)
        return (left > right) - (left < right) in HOLDS[self.operator]


@dataclass(frozen=True)
class Unknown:
    """The size that is asked for.

    Parameters
    ----------
    name : str
        What people call it.
    symbol : sympy.Symbol
        An integer symbol.
    first : int
        The smallest value that it may take.
    last : int, optional
        The largest one; there is none unless given.
    """

    name: str
    symbol: sp.Symbol
    first: int
    last: int | None = None

    @property
    def step(self) -> int:
        """How far neighbours lie apart."""
        return info_of(self.symbol).multiple_of


@dataclass(frozen=True)
class Boundary:
    """Neighbouring values, at one of which a condition holds and at the other it does not.

    Parameters
    ----------
    condition : Condition
        The condition that fails there.
    holds, fails : int
        The two values.
    left, right : tuple of int or Fraction
        What both sides of the condition are at the value that holds, and at the other.
    closed : ClosedForm or str
        The formula that gives it, or why there is none.
    """

    condition: Condition
    holds: int
    fails: int
    left: tuple[Number, Number]
    right: tuple[Number, Number]
    closed: ClosedForm | str

    def told(self, name: str, bindings: Bindings) -> str:
        """The formula of the boundary in a size of that name, or why there is none."""
        closed = self.closed
        if isinstance(closed, str):
            return f"{self.condition.text} has no closed form in {name}: {closed}"
        sign = "<=" if self.holds < self.fails else ">="
        where = [f"{text(low)} <= {text(high)}" for low, high in closed.domain]
        domain = f", where {' and '.join(where)}" if where else ""
        return f"{self.condition.text}: {name} {sign} {closed.told(bindings)}{domain}"


@dataclass(frozen=True)
class Solution(Displayed):
    """All values of a size at which conditions hold.

    Parameters
    ----------
    unknown : Unknown
        The size.
    ranges : tuple of (int, int or None)
        First and last value of each range in which all conditions hold; None where it has no end.
    boundaries : tuple of Boundary
        The ends of the ranges that are due to a condition, not to what is legal.
    alone : mapping of str to tuple
        The ranges in which each condition holds by itself.
    bindings : mapping of sympy.Symbol to int or Fraction
        The numbers of all other symbols.
    proved, computed : int
        Ranges on which the sign of a difference was proved, and values at which it was computed.
    """

    unknown: Unknown
    ranges: tuple[Range, ...]
    boundaries: tuple[Boundary, ...]
    alone: Mapping[str, tuple[Range, ...]]
    bindings: Bindings
    proved: int
    computed: int

    def __repr__(self) -> str:
        """A line, not the formulas."""
        return f"<{self._title}>"

    @property
    def _title(self) -> str:
        return f"{self.unknown.name}: {ranges_text(self.ranges)}"

    def sheet(self) -> Sheet:
        """What notebooks show: the values, both sides of conditions at the ends, and formulas."""
        name = self.unknown.name
        rows = [
            (
                boundary.condition.text,
                _digits(value),
                _digits(boundary.left[at]),
                boundary.condition.operator,
                _digits(boundary.right[at]),
                told,
            )
            for boundary in self.boundaries
            for at, (value, told) in enumerate(((boundary.holds, "yes"), (boundary.fails, "no")))
        ]
        columns = ("condition", name, "left", "", "right", "holds")
        return Sheet(self._title, [Table(columns, rows)], list(self._notes()))

    def _notes(self) -> Iterator[str]:
        """The formulas of the ends, and how the answer was proved."""
        name, last = self.unknown.name, self.unknown.last
        yield from (boundary.told(name, self.bindings) for boundary in self.boundaries)
        if len(self.alone) > 1:
            for condition, alone in self.alone.items():
                yield f"{condition} alone: {ranges_text(alone)}"
        if last is not None and self.ranges[-1][1] == last:
            yield f"the context has no room for a larger {name} than {last:,}"
        ranges = f"{self.proved} ranges" if self.proved != 1 else "1 range"
        values = f"{self.computed} values" if self.computed != 1 else "1 value"
        yield (
            f"no other {name} meets it: the sign of the difference is proved on {ranges} and "
            f"computed at {values}, which together are all"
        )


def ranges_text(ranges: Iterable[Range]) -> str:
    """Ranges in words."""
    return ", ".join(map(_range_text, ranges))


def _range_text(ends: Range) -> str:
    first, last = ends
    if last is None:
        return f"{first:,} and more"
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _digits(number: Number) -> Rounded:
    """A whole number with all its digits, a fraction with some."""
    fraction = isinstance(number, Fraction)
    return Rounded(decimal_text(number, 9) if fraction else f"{number:,}", str(number))


def solve(conditions: Sequence[Condition], unknown: Unknown, bindings: Bindings) -> Solution:
    """All values of a size at which all conditions hold.

    Parameters
    ----------
    conditions : sequence of Condition
        In the unknown and in what is bound.
    bindings : mapping of sympy.Symbol to int or Fraction
        The numbers of all other symbols.

    Raises
    ------
    DomainError
        No value meets them, or all do, so that there is nothing to solve; they do not depend on
        the unknown; or the signs could not be proved everywhere.
    """
    told = " and ".join(condition.text for condition in conditions)
    if not any(unknown.symbol in (c.left - c.right).free_symbols for c in conditions):
        raise DomainError(f"{told} does not depend on {unknown.name}; ask for another size")
    differences = [_Difference(condition, unknown, bindings) for condition in conditions]
    held = [_held(d.chart, d.condition.operator) for d in differences]
    ranges = _common(held)
    if not ranges:
        raise DomainError(_none(unknown, differences))
    whole = (unknown.first, unknown.last)
    if ranges == [whole]:
        raise DomainError(_all(unknown, differences))
    boundaries = tuple(
        difference.boundary(holds, fails)
        for holds, fails in _ends(ranges, unknown)
        for difference in differences
        if not difference.condition.holds(difference.at(fails))
    )
    return Solution(
        unknown,
        tuple(ranges),
        boundaries,
        {c.text: tuple(alone) for c, alone in zip(conditions, held, strict=True)},
        bindings,
        sum(d.chart.proved for d in differences),
        sum(d.chart.computed for d in differences),
    )


class _Difference:
    """Left minus right of a condition, by the alternatives of the maxima on both sides."""

    def __init__(self, condition: Condition, unknown: Unknown, bindings: Bindings) -> None:
        self.condition = condition
        self._unknown, self._bindings = unknown, bindings
        left, right = self._bound(condition.left), self._bound(condition.right)
        pairs = list(product(left, right))
        self._formulas = [left[one] - right[other] for one, other in pairs]
        self._charts = [
            sign_chart(sp.expand(one - other), unknown.symbol, unknown.first, unknown.last)
            for one, other in pairs
        ]
        self.chart = sign_of_maxima(self._charts, len(right), unknown.step)

    def _bound(self, formula: Expr) -> dict[Expr, Expr]:
        """The alternatives of a formula with all other symbols bound, and as formulas."""
        numbers = {symbol: as_rational(value) for symbol, value in self._bindings.items()}
        return {sp.expand(f.xreplace(numbers)): f for f in alternatives(formula)}

    def at(self, value: int) -> Evaluator:
        """The point at which the unknown has a value."""
        return Evaluator({**self._bindings, self._unknown.symbol: value})

    def sides(self, value: int) -> tuple[Number, Number]:
        """Both sides of the condition at a value."""
        evaluator = self.at(value)
        return evaluator(self.condition.left), evaluator(self.condition.right)

    def boundary(self, holds: int, fails: int) -> Boundary:
        """The boundary between two neighbouring values."""
        left, right = zip(self.sides(holds), self.sides(fails), strict=True)
        low, high = sorted((holds, fails))
        closed = _closed(self._changing(high), self._unknown, self._bindings, low, high)
        return Boundary(self.condition, holds, fails, left, right, closed)

    def _changing(self, first: int) -> Expr:
        """The difference of alternatives that has another sign from a value on."""
        return next(
            formula
            for formula, chart in zip(self._formulas, self._charts, strict=True)
            if any(run.first == first for run in chart.runs)
        )


def alternatives(formula: Expr) -> list[Expr]:
    """Formulas without a maximum whose maximum a formula is.

    Raises
    ------
    DomainError
        A maximum stands where it cannot be taken out.
    """
    if not formula.has(sp.Max):
        return [formula]
    if isinstance(formula, sp.Max):
        return [part for argument in formula.args for part in alternatives(argument)]
    if isinstance(formula, sp.Add):
        choices = [alternatives(argument) for argument in formula.args]
        return [sp.Add(*chosen) for chosen in product(*choices)]
    if isinstance(formula, sp.Mul):
        within = [factor for factor in formula.args if factor.has(sp.Max)]
        others = sp.Mul(*(factor for factor in formula.args if not factor.has(sp.Max)))
        if len(within) == 1 and others.is_nonnegative:
            return [others * part for part in alternatives(within[0])]
    raise DomainError(f"a maximum cannot be taken out of {formula}")


def _held(chart: Chart, operator: str) -> list[Range]:
    """The ranges of values whose sign is one of those for which a comparison holds."""
    ranges: list[Range] = []
    joins = False
    for run in chart.runs:
        holds = run.sign in HOLDS[operator]
        if holds and joins:
            ranges[-1] = (ranges[-1][0], run.last)
        elif holds:
            ranges.append((run.first, run.last))
        joins = holds
    return ranges


def _common(sets: Sequence[list[Range]]) -> list[Range]:
    """The ranges that lie in all sets of ranges."""
    common, *others = sets
    for ranges in others:
        pairs = product(common, ranges)
        common = [(max(a, c), _least(b, d)) for (a, b), (c, d) in pairs]
        common = [(first, last) for first, last in common if last is None or first <= last]
    return sorted(common)


def _least(one: int | None, other: int | None) -> int | None:
    return min((end for end in (one, other) if end is not None), default=None)


def _ends(ranges: Iterable[Range], unknown: Unknown) -> Iterator[tuple[int, int]]:
    """The values at the ends of ranges with the neighbours outside, where these are legal."""
    for first, last in ranges:
        if first != unknown.first:
            yield first, first - unknown.step
        if last not in (None, unknown.last):
            yield last, last + unknown.step


def _closed(
    formula: Expr, unknown: Unknown, bindings: Bindings, low: int, high: int
) -> ClosedForm | str:
    """The closed form of a change of sign between two neighbours, or why there is none."""
    symbol = unknown.symbol
    points = [Evaluator({**bindings, symbol: value}) for value in (low, high)]
    domain: dict[tuple[Expr, Expr], None] = {}

    def resolved(smallest: Expr) -> Expr:
        """A minimum as the argument that it is at both neighbours, if that is the same one."""
        for chosen in smallest.args:
            if all(point(chosen) == point(smallest) for point in points):
                domain.update(
                    {(chosen, o): None for o in smallest.args if (o - chosen).has(symbol)}
                )
                return chosen
        return smallest

    simple = sp.expand(
        formula.replace(lambda part: isinstance(part, sp.Min) and part.has(symbol), resolved)
    )
    if not simple.is_polynomial(symbol):
        parts = (part for part in sp.postorder_traversal(simple) if part.has(symbol))
        other = next(part for part in parts if not part.is_polynomial(symbol))
        return f"{other} is no polynomial in {symbol}"
    coefficients = tuple(sp.Poly(simple, symbol).all_coeffs()[::-1])
    numbers = tuple(points[0](coefficient) for coefficient in coefficients)
    while numbers[-1] == 0:
        coefficients, numbers = coefficients[:-1], numbers[:-1]
    while low > 0 and coefficients[0] == 0:
        coefficients, numbers = coefficients[1:], numbers[1:]
    if len(coefficients) > 3:
        return f"it is of degree {len(coefficients) - 1} in {symbol}"
    rises = points[0](simple) < points[1](simple)
    whole = _whole_root(numbers, rises=rises)
    whole -= whole % unknown.step
    if whole not in (low, high):
        raise DomainError(f"{simple} has its root at {whole}, but changes its sign behind {low}")
    return ClosedForm(coefficients, numbers, tuple(domain), whole, upper=rises)


def _whole_root(numbers: Sequence[Number], *, rises: bool) -> int:
    """The whole part of the root at which a polynomial of degree one or two rises, or falls."""
    scale = math.lcm(*(Fraction(number).denominator for number in numbers))
    c, b, *squares = (int(number * scale) for number in numbers)
    if not squares:
        return -c // b
    (a,) = squares
    if a < 0:
        a, b, c, rises = -a, -b, -c, not rises
    square = b * b - 4 * a * c
    root = math.isqrt(square)
    if rises:
        return (root - b) // (2 * a)
    return (-b - root - (root * root < square)) // (2 * a)


def _none(unknown: Unknown, differences: Sequence[_Difference]) -> str:
    """Why no value meets all conditions."""
    told = " and ".join(d.condition.text for d in differences)
    if len(differences) == 1 or any(not _held(d.chart, d.condition.operator) for d in differences):
        failing = next(d for d in differences if not _held(d.chart, d.condition.operator))
        changes = [run.first for run in failing.chart.runs[1:]]
        left, right = failing.sides(unknown.first)
        more = (
            f"at {unknown.name} {unknown.first} it is {decimal_text(left, 6)} against "
            f"{decimal_text(right, 6)}, and no larger one meets it"
        )
        if changes and failing.condition.operator == "==":
            before = changes[0] - unknown.step
            more = f"the sides cross between {before} and {changes[0]}"
        return f"no {unknown.name} meets {failing.condition.text}: {more} (proved for all)"
    return f"no {unknown.name} meets {told} at once (proved for all)"


def _all(unknown: Unknown, differences: Sequence[_Difference]) -> str:
    """That every value meets all conditions."""
    told = " and ".join(d.condition.text for d in differences)
    reach = (
        f"of at least {unknown.first}"
        if unknown.last is None
        else f"from {unknown.first} to {unknown.last}"
    )
    return f"every {unknown.name} {reach} meets {told} (proved for all); there is no limit"
