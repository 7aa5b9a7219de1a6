"""How numbers and formulas stand in the document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from symcost.cost import METRICS, Cost
from symcost.exact import Amount
from symcost.formulas import grouped, latex, latex_groups
from symcost.rounded import human

Stages = Mapping[str, Cost]
SHOWN = [
    name
    for name in METRICS
    if name not in ("flops", "bytes_moved", "activation_bytes", "gradient_bytes", "resident_bytes")
]


def math(formula: Amount) -> str:
    """A formula between single dollars, for the middle of a line."""
    return f"${latex(formula)}$"


_LINE = 92
"""Signs that a line of displayed math can hold."""


def displayed(label: str, *forms: Amount) -> list[str]:
    """Equal formulas behind a label, as lines of displayed math that fit onto a page."""
    chain = " = ".join([rf"\text{{{label}}}", *(latex(form) for form in forms)])
    if _length(chain) <= _LINE:
        return [chain]
    lines: list[str] = []
    for form in forms:
        line = "=" if lines else rf"\text{{{label}}} ="
        for number, group in enumerate(latex_groups(form)):
            more = group if number == 0 or group.startswith("-") else f"+ {group}"
            if number and _length(line) + _length(more) > _LINE:
                lines.append(line)
                line = "{}"
            line = f"{line} {more}"
        lines.append(line)
    return lines


def _length(formula: str) -> int:
    """About how many signs a formula shows."""
    return len(re.sub(r"\\(?:text|left|right|frac)|\\[a-z]+|[{}^_ ]", "", formula))


def digits(amount: Amount) -> str:
    """A whole number with its digits in groups of three."""
    return str(amount) if isinstance(amount, Fraction) else grouped(int(amount), ",")


def unbroken(amount: Amount, unit: str = "") -> str:
    """A rounded number whose unit stays on its line."""
    return human(amount, unit).replace(" ", "&nbsp;")
