"""Exact evaluation of formulas: Python integers and fractions, or an error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, TypeAlias, cast

import sympy as sp

from symcost.errors import DomainError, UnboundSymbolError
from symcost.symbols import Expr, as_expr, info_of

Number: TypeAlias = int | Fraction
Bindings: TypeAlias = Mapping[sp.Symbol, Number]
Amount: TypeAlias = Number | sp.Expr
"""A number where everything is bound, otherwise a formula."""


def simplest(formula: Amount) -> Any:
    """A number as a Python number, a formula as it is."""
    if isinstance(formula, sp.Integer):
        return int(formula)
    if isinstance(formula, sp.Rational):
        return Fraction(int(formula.p), int(formula.q))
    return formula


def as_rational(amount: Amount) -> Expr:
    """A number or a formula as a formula."""
    if isinstance(amount, Fraction):
        return sp.Rational(amount.numerator, amount.denominator)
    return amount if isinstance(amount, sp.Rational) else as_expr(amount)


def _sum(values: list[Number]) -> Number:
    return sum(values)


def _magnitude(values: list[Number]) -> Number:
    return max(values[0], -values[0])


def _product(values: list[Number]) -> Number:
    return cast("Number", math.prod(values))


def _power(values: list[Number]) -> Number:
    base, exponent = values
    if isinstance(exponent, Fraction) and exponent.denominator != 1:
        raise DomainError(f"{base} to the power of {exponent} is not a rational number")
    if base == 0 and exponent < 0:
        raise DomainError("a formula divides by zero at this point")
    return Fraction(base) ** int(exponent)


_NODES: dict[type[sp.Basic], Callable[[list[Number]], Number]] = {
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: _power,
    sp.Min: min,
    sp.Max: max,
    sp.Abs: _magnitude,
    sp.floor: lambda values: math.floor(values[0]),
    sp.ceiling: lambda values: math.ceil(values[0]),
}
"""Every kind of node that a formula may consist of, besides numbers and symbols."""


def _whole(value: Number) -> Number:
    return value.numerator if value.denominator == 1 else value


_RATIONAL = re.compile(r"-?\d{1,20}(\.\d{1,20}|/\d{1,20})?", re.ASCII)


def rational(text: str) -> Fraction:
    """A number as a person writes it, such as 2, 0.55 or 1/2; nothing else.

    Raises
    ------
    ValueError
        It is none, or has a denominator of zero.
    """
    if not _RATIONAL.fullmatch(text):
        raise ValueError(text)
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise ValueError(text) from None


_SCALED = re.compile(r"([^eE]+)[eE]([+-]?\d{1,3})", re.ASCII)


def scientific(text: str) -> Fraction:
    """A number as `rational` takes it, or one with a power of ten behind it, such as 80e9.

    Raises
    ------
    ValueError
        It is none.
    """
    if scaled := _SCALED.fullmatch(text):
        return rational(scaled[1]) * Fraction(10) ** int(scaled[2])
    return rational(text)


def decimal_text(number: Number, digits: int = 4) -> str:
    """A number with so many significant digits, however large or small it is: 16,600."""
    try:
        near = float(number)
    except OverflowError:
        near = math.inf
    if math.isfinite(near) and (near or not number):
        rounded = f"{near:.{digits}g}"
        return f"{int(float(rounded)):,}" if "e+" in rounded and abs(near) < 10**9 else rounded
    ratio = Fraction(number)
    with localcontext(prec=digits + 2):
        return f"{Decimal(ratio.numerator) / ratio.denominator:.{digits - 1}e}"


def fraction_text(number: Number) -> str:
    """A number with all its digits, or as p/q where these do not end."""
    ratio = Fraction(number)
    places = next((n for n in range(_PLACES) if 10**n % ratio.denominator == 0), None)
    if places is None:
        return str(ratio)
    digits = f"{abs(ratio.numerator) * 10**places // ratio.denominator:0{places + 1}d}"
    sign = "-" if ratio < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


_PLACES = 21
"""Places behind the point that a number may have."""


class Evaluator:
    """Evaluates formulas at one point; what formulas share is computed once.

    Parameters
    ----------
    bindings : mapping of sympy.Symbol to int or Fraction
        The point. Each value is checked against its symbol's domain.
    """

    def __init__(self, bindings: Bindings) -> None:
        for symbol, value in bindings.items():
            info_of(symbol).check(value)
        self._known: dict[sp.Basic, Number] = {s: _whole(v) for s, v in bindings.items()}

    def __call__(self, formula: Expr) -> Number:
        """The exact value: an int where it is whole, otherwise a Fraction."""
        known = self._known.get(formula)
        if known is not None:
            return known
        if isinstance(formula, sp.Rational):
            value: Number = Fraction(int(formula.p), int(formula.q))
        elif isinstance(formula, sp.Symbol):
            info = info_of(formula)
            raise UnboundSymbolError(
                f"{info.name} ({info.meaning}) has no value; give it one, a {info.domain}"
            )
        else:
            node = _NODES.get(formula.func)
            if node is None:
                raise DomainError(f"{formula.func.__name__} is no part of a formula: {formula}")
            value = node([self(argument) for argument in formula.args])
        value = _whole(value)
        self._known[formula] = value
        return value


def evaluate(formula: Expr, bindings: Bindings) -> Number:
    """The exact value of one formula at one point.

    Raises
    ------
    UnboundSymbolError
        A symbol of the formula has no value.
    DomainError
        A value lies outside its symbol's domain.
    """
    return Evaluator(bindings)(formula)
