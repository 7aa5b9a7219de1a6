"""What a size does to a figure: derivatives, one more step, the terms that count, orders of growth.

Formulas take each size by itself, so all of this is partial: the sequence does not grow with the
image, as it does on the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import sympy as sp

from symcost.bounds import regions_of
from symcost.errors import DomainError
from symcost.exact import Bindings, Evaluator, Number, as_rational
from symcost.insight.solving import alternatives
from symcost.peaks import Condition, peaks
from symcost.symbols import CATALOGUE, CROPS, C, Expr, info_of, n_h, n_w


@dataclass(frozen=True)
class Sensitivity:
    """What a size does to a figure at one point, all other sizes as they are.

    Parameters
    ----------
    symbol : sympy.Symbol
        The size.
    value : int or Fraction
        The size at the point.
    derivative : sympy.Expr or None
        The partial derivative as a formula; None where there is none.
    slope : int or Fraction or None
        The derivative at the point.
    elasticity : int or Fraction or None
        By how many percent the figure grows with one percent of the size; None without a
        derivative, or where the figure is zero.
    step : int
        The distance to the next legal value of the size; 1 for a width.
    difference : int or Fraction or None
        What one more step adds to the figure; None where the next value is not legal.
    reason : str
        Why there is no derivative or no difference; empty where there are both.
    domain : tuple of sympy.Rel, sympy.And or sympy.Or
        For which values of the size the derivative is this formula; all of them hold. Empty where
        the formula is the same for all values.
    """

    symbol: sp.Symbol
    value: Number
    derivative: Expr | None
    slope: Number | None
    elasticity: Number | None
    step: int
    difference: Number | None
    reason: str
    domain: tuple[Condition, ...]


@dataclass(frozen=True)
class Term:
    """A term of a figure: its formula, its value at a point and its share of the figure there."""

    formula: Expr
    value: Number
    share: Number


def flat(formula: Expr) -> Expr:
    """A figure as one expanded formula, or as the maximum of several.

    It is in the crop count C where columns and rows of the grid occur as n_w n_h only.
    """
    branches = list(dict.fromkeys(map(sp.expand, alternatives(formula))))
    counted = [branch.replace(_is_grid, _in_crops) for branch in branches]
    if not any({n_w, n_h} & branch.free_symbols for branch in counted):
        branches = counted
    return sp.Max(*branches, evaluate=False) if len(branches) > 1 else branches[0]


def _is_grid(part: Expr) -> bool:
    return isinstance(part, sp.Mul) and {n_w, n_h} <= part.free_symbols


def _in_crops(product: Expr) -> Expr:
    powers = product.as_powers_dict()
    both = min(powers[n_w], powers[n_h])
    return product / CROPS**both * C**both


def sizes_of(formula: Expr) -> list[sp.Symbol]:
    """The sizes that a formula depends on, in the order of the catalogue."""
    return [info.symbol for info in CATALOGUE.values() if info.symbol in formula.free_symbols]


def with_crops(bindings: Bindings) -> Bindings:
    """A point with the crop count of its grid."""
    if {n_w, n_h} <= bindings.keys():
        return {**bindings, C: bindings[n_w] * bindings[n_h]}
    return bindings


def sensitivities(formula: Expr, bindings: Bindings) -> list[Sensitivity]:
    """What each size that a formula depends on does to it at one point.

    Parameters
    ----------
    formula : sympy.Expr
        A figure, such as `symcost.figures.formula_of` gives it.
    bindings : mapping of sympy.Symbol to int or Fraction
        The point.

    Raises
    ------
    UnboundSymbolError
        A symbol of the formula has no value.
    DomainError
        A value lies outside its symbol's domain.
    """
    point, counted = with_crops(bindings), flat(formula)
    value = Evaluator(point)(counted)
    return [_sensitivity(counted, symbol, point, value) for symbol in sizes_of(counted)]


def _sensitivity(formula: Expr, symbol: sp.Symbol, point: Bindings, value: Number) -> Sensitivity:
    at, step = point[symbol], info_of(symbol).multiple_of
    if symbol in (n_w, n_h) and at == 0:
        reason = "without crops a grid has neither columns nor rows to add one to"
        return Sensitivity(symbol, at, None, None, None, step, None, reason, ())
    difference = _whole(Evaluator({**point, symbol: at + step})(formula) - value)
    local = _Local(symbol, point)
    try:
        derivative = sp.expand(sp.diff(local.read(formula), symbol))
    except _NoDerivativeError as error:
        return Sensitivity(symbol, at, None, None, None, step, difference, str(error), ())
    slope = Evaluator(point)(derivative)
    elasticity = _whole(Fraction(slope) * at / value) if value else None
    return Sensitivity(
        symbol, at, derivative, slope, elasticity, step, difference, "", tuple(local.domain)
    )


def _whole(value: Number) -> Number:
    return value.numerator if value.denominator == 1 else value


class _NoDerivativeError(Exception):
    """A formula has no derivative at a point; the message tells why."""


class _Local:
    """Formulas as they are around a point, along one symbol: without minima and maxima of it."""

    def __init__(self, symbol: sp.Symbol, point: Bindings) -> None:
        self._symbol = symbol
        self._at = {symbol: point[symbol]}
        self._value = Evaluator(point)
        self._others = {s: as_rational(v) for s, v in point.items() if s != symbol}
        self.domain: list[Condition] = []

    def read(self, formula: Expr) -> Expr:
        """The branch of a formula that holds around the point."""
        if self._symbol not in formula.free_symbols:
            return formula
        if isinstance(formula, sp.Min | sp.Max):
            return self._extreme(formula)
        if isinstance(formula, sp.Abs):
            inside = formula.args[0]
            return self._extreme(sp.Max(inside, -inside, evaluate=False))
        parts = [self.read(part) for part in formula.args]
        here = formula.func(*parts) if parts else formula
        if isinstance(here, sp.floor | sp.ceiling) and self._symbol in here.free_symbols:
            raise _NoDerivativeError(f"contains {_shown(here)}")
        if isinstance(here, sp.Pow) and self._symbol in here.exp.free_symbols:
            raise _NoDerivativeError(f"contains {_shown(here)}")
        return here

    def _extreme(self, formula: Expr) -> Expr:
        values = [self._value(branch) for branch in formula.args]
        sign = -1 if isinstance(formula, sp.Min) else 1
        best = sign * max(sign * value for value in values)
        branches = [b for b, value in zip(formula.args, values, strict=True) if value == best]
        if _indicates(formula):
            if best == 0:
                raise _NoDerivativeError(f"{_shown(formula)} jumps here")
            branches = [sp.S.One]
        if len(branches) > 1:
            raise _NoDerivativeError(f"branches of {_shown(formula)} meet here")
        self._tell(sign * branch.xreplace(self._others) for branch in formula.args)
        return self.read(branches[0])

    def _tell(self, branches: Iterable[Expr]) -> None:
        """Note for which values of the symbol the largest branch stays the largest."""
        named = [("", branch) for branch in branches]
        held = next(peak for peak in peaks(named) if peak.holds(self._at))
        self.domain += [c for c in held.conditions if c not in self.domain]


def _indicates(formula: Expr) -> bool:
    """Whether it is 1 where a whole size is positive, and 0 where it is zero."""
    if not isinstance(formula, sp.Min) or len(formula.args) != 2 or sp.S.One not in formula.args:
        return False
    return all(part.is_integer and part.is_nonnegative for part in formula.args)


_MOST_SIGNS = 40
"""Signs of a part of a formula that a reason repeats."""


def _shown(part: Expr) -> str:
    told = str(part)
    return told if len(told) <= _MOST_SIGNS else f"{part.func.__name__}(…)"


def dominant_terms(formula: Expr, bindings: Bindings, most: int | None = 5) -> list[Term]:
    """The terms that a figure is made of at a point, the largest first.

    Of a maximum these are the terms of what is the largest there. All terms together are the
    figure, so their shares add to 1; a figure of zero has none.

    Parameters
    ----------
    most : int or None
        How many, or all.
    """
    point = with_crops(bindings)
    value = Evaluator(point)
    whole = value(flat(formula))
    if whole == 0:
        return []
    branch = max(alternatives(flat(formula)), key=value)
    terms = [
        Term(term, value(term), _whole(Fraction(value(term)) / whole))
        for term in sp.Add.make_args(sp.expand(branch))
    ]
    return sorted(terms, key=lambda term: abs(Fraction(term.share)), reverse=True)[:most]


def growth(formula: Expr, symbol: sp.Symbol) -> tuple[int, Expr]:
    """The order in which a figure grows with a size: its degree, and the leading coefficient.

    What is rounded grows as what it is rounded from, so ceiling(x / 224) counts as x / 224. All
    other sizes are taken as positive: where there are no crops nothing grows with them.

    Raises
    ------
    DomainError
        The order is not known: leading terms cancel, signs are unknown, or it is no power.
    """
    if symbol not in formula.free_symbols:
        return 0, formula
    if formula == symbol:
        return 1, sp.S.One
    if isinstance(formula, sp.Add):
        return _growth_of_sum(sp.expand(formula), symbol)
    grown = _GROWTH.get(formula.func, _growth_unknown)
    order = grown(formula, [growth(part, symbol) for part in formula.args])
    if order is None:
        raise DomainError(f"the order in which {_shown(formula)} grows with {symbol} is unknown")
    return order


_Order: TypeAlias = tuple[int, Expr]


def _growth_of_sum(formula: Expr, symbol: sp.Symbol) -> _Order:
    orders = [growth(term, symbol) for term in sp.Add.make_args(formula)]
    highest = max(degree for degree, _ in orders)
    factor = sp.Add(*(factor for degree, factor in orders if degree == highest))
    if sp.expand(factor) == 0:
        raise DomainError(f"terms of {_shown(formula)} cancel; its growth with {symbol} is unknown")
    return highest, factor


def _growth_of_product(_: Expr, orders: Sequence[_Order]) -> _Order:
    return sum(degree for degree, _ in orders), sp.Mul(*(factor for _, factor in orders))


def _growth_of_power(_: Expr, orders: Sequence[_Order]) -> _Order | None:
    (degree, factor), (exponential, exponent) = orders
    if exponential:
        return None
    if degree and not (exponent.is_Integer and exponent > 0):
        return None
    return degree * int(exponent) if degree else 0, factor**exponent


def _growth_of_rounded(formula: Expr, orders: Sequence[_Order]) -> _Order:
    ((degree, factor),) = orders
    return degree, factor if degree else formula.func(factor)


def _growth_of_magnitude(_: Expr, orders: Sequence[_Order]) -> _Order:
    ((degree, factor),) = orders
    return degree, sp.Abs(factor)


def _growth_of_extreme(formula: Expr, orders: Sequence[_Order]) -> _Order | None:
    if not all(_not_negative(factor) for degree, factor in orders if degree):
        return None
    pick = min if formula.func is sp.Min else max
    degree = pick(degree for degree, _ in orders)
    return degree, formula.func(*(factor for found, factor in orders if found == degree))


def _growth_unknown(_: Expr, __: Sequence[_Order]) -> None:
    return None


_GROWTH: Mapping[type[Expr], Callable[[Expr, Sequence[_Order]], _Order | None]] = {
    sp.Mul: _growth_of_product,
    sp.Pow: _growth_of_power,
    sp.floor: _growth_of_rounded,
    sp.ceiling: _growth_of_rounded,
    sp.Abs: _growth_of_magnitude,
    sp.Min: _growth_of_extreme,
    sp.Max: _growth_of_extreme,
}


def _not_negative(formula: Expr) -> bool:
    """Whether it is proved that a formula is never below zero."""
    return all(r.not_negative(r.read(formula)) for r in regions_of([formula]).values())


def majority(formula: Expr, symbol: sp.Symbol, bindings: Bindings) -> tuple[Condition, ...] | None:
    """For which values of a size the leading term in it is at least half of a figure.

    All other sizes are as they are at a point. None where the leading term is never so much, or
    where the values cannot be told.

    Raises
    ------
    DomainError
        The order in which the figure grows with the size is not known.
    """
    point, counted = with_crops(bindings), flat(formula)
    if isinstance(counted, sp.Max):
        return None
    others = {s: as_rational(v) for s, v in point.items() if s != symbol}
    degree, factor = growth(counted, symbol)
    leading = (factor * symbol**degree).xreplace(others)
    rest = counted.xreplace(others) - leading
    (*found,) = peaks([("leading", leading), ("rest", rest)])
    if not found or found[0].path != "leading":
        return None
    told = found[0].conditions
    return told if all(map(_is_range, told)) else None


def _is_range(condition: Condition) -> bool:
    if isinstance(condition, sp.And | sp.Or):
        return all(map(_is_range, condition.args))
    return bool(condition.lhs.is_Symbol and condition.rhs.is_number)
