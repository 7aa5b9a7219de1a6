"""Formulas as JSON: an explicit tree with a whitelist of nodes, and an exact way back.

A whole number is a JSON integer, a symbol is its name, everything else is a list of an operator
and its operands: `["+", …]`, `["*", …]`, `["^", base, exponent]`, `["/", numerator, denominator]`
for a rational number, and `min`, `max`, `abs`, `floor`, `ceiling`. Nothing is ever evaluated as
code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from symcost.errors import DomainError
from symcost.symbols import CATALOGUE, Expr, info_of

_OPERATORS: dict[str, tuple[type[sp.Basic], range]] = {
    "+": (sp.Add, range(2, 10**6)),
    "*": (sp.Mul, range(2, 10**6)),
    "^": (sp.Pow, range(2, 3)),
    "min": (sp.Min, range(2, 10**6)),
    "max": (sp.Max, range(2, 10**6)),
    "abs": (sp.Abs, range(1, 2)),
    "floor": (sp.floor, range(1, 2)),
    "ceiling": (sp.ceiling, range(1, 2)),
}
_NAMES = {kind: name for name, (kind, _) in _OPERATORS.items()}
_UNEVALUATED: dict[str, Callable[..., Expr]] = {
    "max": lambda *operands: sp.Max(*operands, evaluate=False)
}


_MOST_DEGREE = 64
"""The highest degree of a power."""


def encode(formula: Expr) -> Any:
    """A formula as a JSON value."""
    if isinstance(formula, sp.Integer):
        return int(formula)
    if isinstance(formula, sp.Rational):
        return ["/", int(formula.p), int(formula.q)]
    if isinstance(formula, sp.Symbol):
        return info_of(formula).name
    name = _NAMES.get(formula.func)
    if name is None:
        raise DomainError(f"{formula.func.__name__} has no place in the JSON tree: {formula}")
    operands = formula.args if name in ("^", "+", "*") else sorted(formula.args, key=str)
    return [name, *(encode(operand) for operand in operands)]


def decode(value: Any) -> Expr:
    """The formula that a JSON value stands for.

    Raises
    ------
    DomainError
        The value is no formula: an unknown operator, symbol or type, named in the message.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | list) or value == []:
        raise DomainError(f"{value!r} is no formula")
    if isinstance(value, int):
        return sp.Integer(value)
    if isinstance(value, str):
        if value not in CATALOGUE:
            raise DomainError(f"symbol {value!r} is unknown; known: {', '.join(CATALOGUE)}")
        return CATALOGUE[value].symbol
    name, *operands = value
    if name == "/":
        if len(operands) != 2 or not all(type(n) is int for n in operands) or operands[1] < 1:
            raise DomainError(f"{value!r} is no rational number")
        return sp.Rational(*operands)
    if not isinstance(name, str) or name not in _OPERATORS:
        raise DomainError(f"operator {name!r} is unknown; known: /, {', '.join(_OPERATORS)}")
    kind, counts = _OPERATORS[name]
    if len(operands) not in counts:
        raise DomainError(f"operator {name!r} cannot have {len(operands)} operands")
    decoded = [decode(operand) for operand in operands]
    if name == "^" and decoded[1].is_number:
        degree = abs(decoded[1]) * max(1, _degree(decoded[0]))
        if degree > _MOST_DEGREE:
            raise DomainError(f"a power in a formula is of a degree beyond {_MOST_DEGREE}")
    return _UNEVALUATED.get(name, kind)(*decoded)


def _degree(formula: Expr) -> Any:
    """A degree that a formula does not exceed in all of its symbols together."""
    base, exponent = formula.as_base_exp()
    if base != formula and exponent.is_number:
        return abs(exponent) * max(1, _degree(base))
    if not formula.args:
        return int(formula.is_Symbol)
    degrees = [_degree(part) for part in formula.args]
    return sum(degrees) if isinstance(formula, sp.Mul) else max(degrees)
