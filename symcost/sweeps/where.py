"""Filters of a sweep: conditions that points are to hold, read as text and never run as code."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.exact import scientific
from symcost.sweeps.axes import TEXTS

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "<=": operator.le,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        ">": operator.gt,
    }
)
_CONDITION = re.compile(r"\s*([A-Za-z_][\w.]*)\s*([<>=!]+)\s*([^\s<>=!].*?)\s*", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_SHOWN = 60
"""Signs of what a user wrote that a message repeats."""
_DIGITS = 20
"""Digits up to which a number is written out."""


@dataclass(frozen=True)
class Name:
    """A column that another is compared with."""

    name: str


@dataclass(frozen=True)
class Condition:
    """A comparison of a column with a number, with another column or with a text.

    Parameters
    ----------
    name : str
        An axis, a size or a metric.
    operator : {"<=", ">=", "==", "!=", "<", ">"}
        How it is compared.
    value : Fraction, Name or str
        What it is compared with.
    given : str
        The value as it was written, where it was.
    """

    name: str
    operator: str
    value: Fraction | Name | str
    given: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read `batch >= 4`, `prefill.resident_bytes <= 80e9`, `execution == fused`."""
        found = _CONDITION.fullmatch(text)
        if found is None or found[2] not in OPERATORS:
            raise InputError(
                f"where is {text[:_SHOWN]!r}; allowed: NAME OP VALUE with OP of "
                f"{' '.join(OPERATORS)}, such as 'batch >= 4'"
            )
        name, compared, value = found.groups()
        if name in TEXTS:
            if compared not in {"==", "!="}:
                raise InputError(
                    f"where compares {name} by {compared}; allowed for texts: == and !="
                )
            return cls(name, compared, value)
        if _NAME.fullmatch(value) and value not in TEXTS:
            return cls(name, compared, Name(value))
        return cls(name, compared, _number(value, text), value)

    def __str__(self) -> str:
        value = self.value.name if isinstance(self.value, Name) else str(self.value)
        if max(map(len, value.split("/"))) > _DIGITS and self.given:  # 1e-999
            value = self.given
        return f"{self.name} {self.operator} {value}"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return (self.name, self.value.name) if isinstance(self.value, Name) else (self.name,)

    def mask(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Where it holds. Columns of integers and of floats are compared exactly."""
        column = columns[self.name]
        compare = OPERATORS[self.operator]
        if isinstance(self.value, Name):
            other = columns[self.value.name]
            if column.dtype != other.dtype:
                # NumPy would round integers to floats; Python compares them exactly.
                column, other = column.astype(object), other.astype(object)
            return np.asarray(compare(column, other), np.bool_)
        if isinstance(self.value, str):
            return np.asarray(compare(column, self.value), np.bool_)
        below, above = _around(self.value, column.dtype)
        if below != above and self.operator in {"==", "!="}:
            return np.full(column.shape, self.operator == "!=")
        bound = below if self.operator in {"<=", ">"} else above
        return np.asarray(compare(column, bound), np.bool_)


def all_hold(
    conditions: Sequence[Condition], columns: Mapping[str, NDArray[Any]]
) -> NDArray[np.bool_]:
    """Where every condition holds; as small an array as broadcasts to the columns' shape."""
    held = np.ones((), np.bool_)
    for condition in conditions:
        held = np.logical_and(held, condition.mask(columns))
    return held


def _number(value: str, text: str) -> Fraction:
    try:
        return scientific(value)
    except ValueError:
        raise InputError(
            f"where {text[:_SHOWN]!r} compares with {value[:_SHOWN]!r}; allowed: a number such as "
            "4, 0.5 or 80e9, or a name"
        ) from None


def _around(value: Fraction, kind: np.dtype[Any]) -> tuple[Any, Any]:
    """The nearest values of an array's kind that are not above and not below a number."""
    if kind.kind != "f":
        return math.floor(value), math.ceil(value)
    try:
        nearest = float(value)
    except OverflowError:
        nearest = math.inf if value > 0 else -math.inf
    below = nearest if nearest <= value else math.nextafter(nearest, -math.inf)
    above = nearest if nearest >= value else math.nextafter(nearest, math.inf)
    return below, above
