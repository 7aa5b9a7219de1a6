"""Quantities with units as people write them, as exact fractions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from symcost.errors import InputError
from symcost.exact import scientific


class Dimension(StrEnum):
    """What a quantity measures, named after the unit that it is stated in."""

    NUMBER = "a plain number"
    BYTES = "bytes"
    FLOPS = "FLOPs"
    SECONDS = "seconds"
    BYTES_PER_SECOND = "bytes per second"
    FLOPS_PER_SECOND = "FLOPs per second"


EXAMPLES: Mapping[Dimension, str] = MappingProxyType(
    {
        Dimension.NUMBER: "0.5",
        Dimension.BYTES: "80GB",
        Dimension.FLOPS: "12GFLOPs",
        Dimension.SECONDS: "50ms",
        Dimension.BYTES_PER_SECOND: "3.35TB/s",
        Dimension.FLOPS_PER_SECOND: "989TFLOPS",
    }
)
"""How a quantity of each kind can be written."""

_DECIMAL = {prefix: 1000**power for power, prefix in enumerate(["", *"kMGTPE"])}
_BINARY = {f"{prefix}i": 1024**power for power, prefix in enumerate("KMGTPE", 1)}
_SIGNS = {
    Dimension.BYTES: ("B",),
    Dimension.BYTES_PER_SECOND: ("B/s",),
    Dimension.FLOPS: ("FLOP", "FLOPs"),
    Dimension.FLOPS_PER_SECOND: ("FLOPS", "FLOP/s", "FLOPs/s"),
}
_TIMES = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # the micro sign
    "μs": Fraction(1, 10**6),  # the Greek letter
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
}


def _units() -> dict[str, tuple[Dimension, Fraction]]:
    """Every unit that is known, with what it measures and how much of that it is."""
    known = {"": (Dimension.NUMBER, Fraction(1))}
    known |= {sign: (Dimension.SECONDS, factor) for sign, factor in _TIMES.items()}
    for dimension, signs in _SIGNS.items():
        of_bytes = dimension in {Dimension.BYTES, Dimension.BYTES_PER_SECOND}
        for prefix, factor in (_DECIMAL | _BINARY if of_bytes else _DECIMAL).items():
            known |= {prefix + sign: (dimension, Fraction(factor)) for sign in signs}
    return known


_UNITS = _units()
_WRITTEN = re.compile(r"\s*(-?[0-9./]+(?:[eE][-+]?[0-9]+)?)\s*(.*?)\s*")
_BITS = re.compile(r"([kKMGTPE]i?)?(b|bits?)(/s|ps)?")
_ALLOWED = (
    "B, B/s, FLOPs (work), FLOPS or FLOP/s (a rate), each with k, M, G, T, P or E, "
    "B also with Ki … Ei; ns, us, ms, s, min, h"
)
_SHOWN = 60
"""Signs of what a user wrote that a message repeats."""


@dataclass(frozen=True)
class Quantity:
    """An exact amount of something.

    Parameters
    ----------
    value : Fraction
        How many bytes, FLOPs, seconds, bytes per second or FLOPs per second.
    unit : Dimension
        Which of these.
    """

    value: Fraction
    unit: Dimension


def parse_quantity(text: str, what: str = "quantity", wanted: Dimension | None = None) -> Quantity:
    """Read `80GB`, `3.35 TB/s`, `50ms`, `989 TFLOPS` or `80e9`.

    Prefixes from k to E are powers of 1000, those from Ki to Ei powers of 1024. FLOPs are work;
    FLOPS, FLOP/s and FLOPs/s are a rate. Without a unit it is a plain number.

    Parameters
    ----------
    text : str
        The quantity.
    what : str
        What an error calls it.
    wanted : Dimension, optional
        What it has to be; an error shows how that is written.

    Raises
    ------
    InputError
        It is no number, negative, in bits or in an unknown unit.
    """
    shown = repr(text[:_SHOWN])
    found = _WRITTEN.fullmatch(text)
    written, sign = found.groups() if found else ("", "")
    try:
        number = scientific(written)
    except ValueError:
        raise InputError(
            f"{what} is {shown}; allowed: a number with or without a unit, such as "
            f"{', '.join(EXAMPLES.values()) if wanted is None else EXAMPLES[wanted]}"
        ) from None
    if number < 0:
        raise InputError(f"{what} is {shown}; allowed: nothing below zero")
    if _BITS.fullmatch(sign):
        raise InputError(f"{what} is {shown}, in bits; write bytes: 400Gb/s are 50GB/s")
    if sign not in _UNITS:
        raise InputError(
            f"{what} is {shown}, of unknown unit {sign!r:.{_SHOWN}}; allowed: "
            f"{_ALLOWED if wanted is None else EXAMPLES[wanted]}"
        )
    unit, factor = _UNITS[sign]
    return Quantity(number * factor, unit)


def parse_as(text: str, wanted: Dimension, what: str = "quantity") -> Fraction:
    """Read a quantity that has to be of one kind, and return its value.

    Raises
    ------
    InputError
        It cannot be read, or is of another kind; the message shows one of the right kind.
    """
    found = parse_quantity(text, what, wanted)
    if found.unit is not wanted:
        raise InputError(
            f"{what} is {text.strip()[:_SHOWN]}, {found.unit}; "
            f"needed: {wanted}, such as {EXAMPLES[wanted]}"
        )
    return found.value
