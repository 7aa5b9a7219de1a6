"""Sensitivities of figures: as an object, as tables, and growth in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from symcost import formulas
from symcost.errors import DomainError
from symcost.exact import Amount, Bindings, Evaluator, Number
from symcost.figures import exact
from symcost.insight.sensitivity import (
    Sensitivity,
    Term,
    dominant_terms,
    flat,
    growth,
    majority,
    sensitivities,
    sizes_of,
    with_crops,
)
from symcost.peaks import Condition
from symcost.render.figures import sign_of
from symcost.render.sections import Section
from symcost.rounded import human
from symcost.symbols import Expr, info_of

_SIGNS = {sp.Eq: "=", sp.Ge: ">=", sp.Gt: ">", sp.Le: "<=", sp.Lt: "<"}

PARTIAL = (
    "sizes are independent: where S follows from an image on the command line, what is told of "
    "I_g, I_t and the crops leaves S and K as they are"
)


@dataclass(frozen=True)
class Order:
    """In which order a figure grows with a size, and from where on the leading term is half of it.

    Parameters
    ----------
    degree : int
        The power of the size.
    coefficient : sympy.Expr
        What the power is multiplied with.
    majority : tuple of sympy.Rel, sympy.And or sympy.Or, or None
        For which values of the size the leading term is at least half; None where that is not told.
    """

    symbol: sp.Symbol
    degree: int
    coefficient: Expr
    majority: tuple[Condition, ...] | None

    @property
    def leading(self) -> Expr:
        """The leading term."""
        power = self.symbol**self.degree
        if isinstance(self.coefficient, sp.Max):
            return sp.Max(*(part * power for part in self.coefficient.args), evaluate=False)
        return self.coefficient * power


def orders(formula: Expr, bindings: Bindings) -> list[Order]:
    """The order in which a figure grows with each of its sizes; without those that are unknown."""
    counted, found = flat(formula), []
    for symbol in sizes_of(counted):
        try:
            degree, coefficient = growth(counted, symbol)
        except DomainError:
            continue
        told = majority(formula, symbol, bindings) if degree else None
        found.append(Order(symbol, degree, coefficient, told))
    return found


def growth_sentences(
    name: str,
    formula: Expr,
    bindings: Bindings,
    *,
    show: Callable[[Expr], str] = formulas.text,
) -> list[str]:
    """How a figure grows with each of its sizes, a sentence each.

    Parameters
    ----------
    name : str
        What the figure is called.
    bindings : mapping of sympy.Symbol to int or Fraction
        The point at which the share of the leading term is told.
    show : callable
        How formulas are written.
    """
    return _sentences(name, formula, bindings, orders(formula, bindings), show)


def _sentences(
    name: str,
    formula: Expr,
    bindings: Bindings,
    found: Sequence[Order],
    show: Callable[[Expr], str],
) -> list[str]:
    point = with_crops(bindings)
    value = Evaluator(point)
    whole = value(formula)
    return [_sentence(name, order, value(order.leading), whole, point, show) for order in found]


def _sentence(
    name: str,
    order: Order,
    leading: Number,
    whole: Number,
    point: Bindings,
    show: Callable[[Expr], str],
) -> str:
    size = show(order.symbol)
    if not order.degree:
        return f"{name} is bounded as {size} grows"
    told = f"{name} grows as {show(order.symbol**order.degree)}"
    if order.degree > 1:
        told += f", by {show(order.leading)}"
    if whole:
        share = percent(Fraction(leading) / whole)
        told += f": {share} of it at {size} = {point[order.symbol]}"
    if order.majority is None:
        return told
    where = conditions(order.majority, show)
    return f"{told}, at least half {f'where {where}' if where else 'everywhere'}"


def conditions(told: tuple[Condition, ...], show: Callable[[Expr], str] = formulas.text) -> str:
    """Conditions that all hold, in words."""
    return " and ".join(_condition(condition, show) for condition in told)


def _condition(condition: Condition, show: Callable[[Expr], str]) -> str:
    if isinstance(condition, sp.Or | sp.And):
        word = " or " if isinstance(condition, sp.Or) else " and "
        inside = word.join(_condition(part, show) for part in condition.args)
        return f"({inside})" if isinstance(condition, sp.Or) else inside
    return f"{show(condition.lhs)} {_SIGNS[condition.func]} {show(condition.rhs)}"


@dataclass(frozen=True)
class FigureSensitivity:
    """A figure at a point, what its sizes do to it and what it is made of there."""

    name: str
    formula: Expr
    value: Number
    sensitivities: tuple[Sensitivity, ...]
    terms: tuple[Term, ...]
    orders: tuple[Order, ...]
    bindings: Bindings

    @classmethod
    def of(cls, name: str, formula: Expr, bindings: Bindings) -> FigureSensitivity:
        """Everything that is told of a figure."""
        return cls(
            name,
            formula,
            Evaluator(bindings)(formula),
            tuple(sensitivities(formula, bindings)),
            tuple(dominant_terms(formula, bindings)),
            tuple(orders(formula, bindings)),
            bindings,
        )

    def sentences(self, show: Callable[[Expr], str] = formulas.text) -> list[str]:
        """How it grows with each size, a sentence for each of the orders."""
        return _sentences(self.name, self.formula, self.bindings, self.orders, show)

    def as_dict(self) -> dict[str, Any]:
        """It as JSON shows it; all numbers are exact."""
        return {
            "value": exact(self.value),
            "formula": _both(self.formula),
            "sensitivities": [_sensitivity(found) for found in self.sensitivities],
            "dominant_terms": [
                {
                    **_both(term.formula),
                    "value": exact(term.value),
                    "share": exact(term.share),
                }
                for term in self.terms
            ],
            "growth": [
                {
                    "symbol": order.symbol.name,
                    "degree": order.degree,
                    "leading_coefficient": _both(order.coefficient),
                    "at_least_half": None
                    if order.majority is None
                    else conditions(order.majority) or "everywhere",
                }
                for order in self.orders
            ],
            "sentences": self.sentences(),
        }

    def sections(self, show: Callable[[Expr], str] = formulas.text) -> Iterator[Section]:
        """Tables: numbers, formulas and terms."""
        unit = sign_of(self.name)
        order = {found.symbol: found for found in self.orders}
        yield Section(
            f"{self.name}: {human(self.value, unit)}",
            ("size", "value", "elasticity", "per unit", "step", "one more step", "change"),
            [self._numbers(found, unit) for found in self.sensitivities],
            1,
        )
        if not self.sensitivities:
            return
        yield Section(
            f"{self.name}: by formula",
            ("size", "derivative", "grows as", "at least half"),
            [_formulas(found, order.get(found.symbol), show) for found in self.sensitivities],
            4,
        )
        yield Section(
            f"{self.name}: largest terms",
            ("term", "value", "share"),
            [
                (show(term.formula), signed(term.value, unit), percent(term.share))
                for term in self.terms
            ],
            1,
        )

    def _numbers(self, found: Sensitivity, unit: str) -> tuple[str, ...]:
        change = ""
        if found.difference is not None and self.value:
            share = Fraction(found.difference) / self.value
            change = f"{'+' * (share >= 0)}{percent(share)}"
        return (
            found.symbol.name,
            str(found.value),
            "" if found.elasticity is None else f"{float(found.elasticity):.4g}",
            "" if found.slope is None else signed(found.slope, unit),
            f"+{found.step}",
            "" if found.difference is None else signed(found.difference, unit),
            change,
        )


def _sensitivity(found: Sensitivity) -> dict[str, Any]:
    def number(value: Number | None) -> int | str | None:
        return None if value is None else exact(value)

    return {
        "symbol": found.symbol.name,
        "meaning": info_of(found.symbol).meaning,
        "value": exact(found.value),
        "derivative": None if found.derivative is None else _both(found.derivative),
        "derivative_value": number(found.slope),
        "elasticity": number(found.elasticity),
        "step": found.step,
        "difference": number(found.difference),
        "reason": found.reason or None,
        "domain": conditions(found.domain) or None,
    }


def _both(formula: Expr) -> dict[str, str]:
    return {"text": formulas.text(formula), "latex": formulas.latex(formula)}


_MOST_SIGNS = 60
"""Signs of a leading term that stand in a table."""


def _formulas(
    found: Sensitivity, order: Order | None, show: Callable[[Expr], str]
) -> tuple[str, ...]:
    if found.derivative is None:
        derivative = f"none: {found.reason}"
    else:
        derivative = show(found.derivative)
        if found.domain:
            derivative += f" where {conditions(found.domain, show)}"
    if order is None:
        return found.symbol.name, derivative, "", ""
    power = show(order.symbol**order.degree) if order.degree else "bounded"
    if order.degree > 1 and len(formulas.text(order.leading)) <= _MOST_SIGNS:
        power = show(order.leading)
    half = "" if order.majority is None else conditions(order.majority, show) or "everywhere"
    return found.symbol.name, derivative, power, half


def signed(amount: Amount, unit: str) -> str:
    """A rounded number that may be negative."""
    return f"{'-' * (amount < 0)}{human(abs(amount), unit)}"


def percent(share: Number) -> str:
    """A share in percent, rounded."""
    shown = float(100 * share)
    return f"{shown:,.0f} %" if abs(shown) >= 1000 else f"{shown:.3g} %"


@dataclass(frozen=True)
class SensitivityReport:
    """Sensitivities of several figures of a model at one point.

    Parameters
    ----------
    told : mapping
        What is assumed of the model, and the workload, as JSON shows them.
    """

    told: Mapping[str, Any]
    figures: tuple[FigureSensitivity, ...]

    def as_dict(self) -> dict[str, Any]:
        """It as JSON shows it."""
        return {
            **self.told,
            "figures": {figure.name: figure.as_dict() for figure in self.figures},
        }

    def sections(self, show: Callable[[Expr], str] = formulas.text) -> Iterator[Section]:
        """The tables of all figures."""
        for figure in self.figures:
            yield from figure.sections(show)

    def notes(self, show: Callable[[Expr], str] = formulas.text) -> Iterator[str]:
        """What stands behind the tables, a line each."""
        yield "{model} ({reference}, {execution}); ".format_map(self.told) + PARTIAL
        for figure in self.figures:
            told = zip(figure.orders, figure.sentences(show), strict=True)
            yield from (sentence for order, sentence in told if order.degree > 1)
