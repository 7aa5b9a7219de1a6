"""Conditions as people write them: a figure compared with a quantity or with another figure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from symcost.errors import InputError
from symcost.exact import as_rational, decimal_text
from symcost.insight.devices import Device
from symcost.insight.grids import GRIDS, GridSolution, solve_grids
from symcost.insight.roofline import Rates
from symcost.insight.solving import HOLDS, Condition, Solution, solve
from symcost.insight.subject import CROPS, Subject
from symcost.insight.units import EXAMPLES, Dimension, parse_quantity

_CONDITION = re.compile(r"\s*([A-Za-z][\w.:-]*)\s*([<>=!]+)\s*([^\s<>=!].*?)\s*", re.ASCII)
_NAME = re.compile(r"[A-Za-z][\w.:-]*", re.ASCII)
_SHOWN = 60
"""Signs of what a user wrote that a message repeats."""


def parse_condition(text: str, subject: Subject, rate: Rates | None = None) -> Condition:
    """Read `generation.resident_bytes <= 80GB` or `decode.compute_time >= decode.memory_time`.

    Parameters
    ----------
    subject : Subject
        What the figures are of.
    rate : mapping of Resource to Fraction, optional
        What the device does per second, for times.

    Raises
    ------
    InputError
        It is no comparison, a name or a unit is unknown, or the sides measure different things.
    """
    found = _CONDITION.fullmatch(text)
    if found is None or found[2] not in HOLDS:
        raise InputError(
            f"condition is {text[:_SHOWN]!r}; allowed: FIGURE OP FIGURE or FIGURE OP QUANTITY with "
            f"OP of {' '.join(HOLDS)}, such as 'generation.resident_bytes <= 80GB'"
        )
    name, operator, other = found.groups()
    left, measured = subject.figure(name, rate)
    if _NAME.fullmatch(other):
        right, unit = subject.figure(other, rate)
    else:
        quantity = parse_quantity(other, "the right side")
        right, unit = as_rational(quantity.value), quantity.unit
    if unit not in (measured, Dimension.NUMBER):
        raise InputError(
            f"{name} is in {measured}, {other} in {unit}; compare it with {measured}, such as "
            f"{EXAMPLES[measured]}"
        )
    return Condition(f"{name} {operator} {other}", left, operator, right)


def memory_condition(subject: Subject, device: Device) -> Condition:
    """That a device's memory holds what is resident."""
    gigabytes = device.memory / 10**9
    told = f"{gigabytes}GB" if gigabytes.denominator == 1 else f"{decimal_text(device.memory, 12)}B"
    resident, _ = subject.figure("generation.resident_bytes")
    return Condition(
        f"generation.resident_bytes <= {told}", resident, "<=", as_rational(device.memory)
    )


def solve_conditions(
    subject: Subject, conditions: Sequence[str | Condition], rate: Rates | None = None
) -> Solution | GridSolution:
    """For which values of the open size of a subject conditions hold, all at once.

    Parameters
    ----------
    conditions : sequence of str or Condition
        Also what `parse_condition` reads.
    rate : mapping of Resource to Fraction, optional
        What the device does per second, for times.

    Raises
    ------
    InputError
        A condition cannot be read.
    DomainError
        No value meets them, or all do.
    """
    read = [parse_condition(c, subject, rate) if isinstance(c, str) else c for c in conditions]
    if subject.opened == CROPS:
        shapes = [shape for shape in GRIDS if subject.holds(*shape)]
        return solve_grids(read, subject.bindings, shapes)
    return solve(read, subject.unknown, subject.bindings)
