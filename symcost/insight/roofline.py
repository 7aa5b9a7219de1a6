"""How long a device takes at best: what each of its engines has to do, and the slowest of them.

The engines of a device, its matrix units, its other units, its memory and its links, work side by
side, so no computation is faster than the slowest of them. That bound is taken of a stage as a
whole (the maximum of sums), or of each kernel, one after the other (the sum of maxima).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

from symcost.assignments import assignments, refusal
from symcost.cost import MACS, VECTOR_FLOPS, Cost, Traffic
from symcost.errors import InputError
from symcost.exact import as_rational, fraction_text, rational
from symcost.insight.devices import DEFAULT_TYPE, Device
from symcost.symbols import Expr


class Resource(StrEnum):
    """What of a device takes time."""

    MATRIX = "matrix"
    VECTOR = "vector"
    MEMORY = "memory"
    LINK = "link"


class Granularity(StrEnum):
    """What runs one after the other."""

    STAGE = "stage"
    """Stages: the maximum of sums. Nothing that does the same work and traffic is faster."""
    KERNEL = "kernel"
    """The kernels of the execution: the sum of maxima, in which no kernel overlaps another."""


@dataclass(frozen=True)
class Efficiency:
    """The share of each peak that is reached: 1 at best."""

    matrix: Fraction = Fraction(1)
    vector: Fraction = Fraction(1)
    memory: Fraction = Fraction(1)
    link: Fraction = Fraction(1)

    @classmethod
    def parse(cls, text: str) -> Efficiency:
        """Read one share for all, or `matrix=0.6,memory=0.8`; what is not named is 1."""
        names = [field.name for field in fields(cls)]
        allowed = (
            f"a share above 0 and up to 1, or NAME=SHARE for {', '.join(names)}, such as "
            "matrix=0.6,memory=0.8"
        )

        def share(written: str) -> Fraction:
            try:
                found = rational(written)
            except ValueError:
                found = Fraction()
            if not 0 < found <= 1:
                raise refusal("efficiency", text, allowed)
            return found

        if "=" not in text:
            return cls(*[share(text)] * len(names))
        given = assignments("efficiency", text, names, allowed)
        return cls(**{name: share(written) for name, written in given.items()})

    def of(self, resource: Resource) -> Fraction:
        """The share of an engine."""
        share: Fraction = getattr(self, resource)
        return share

    def __str__(self) -> str:
        shares = {field.name: getattr(self, field.name) for field in fields(self)}
        if len(set(shares.values())) == 1:
            return fraction_text(self.matrix)
        told = (f"{name}={fraction_text(share)}" for name, share in shares.items() if share != 1)
        return ",".join(told)


AT_BEST = Efficiency()

Rates: TypeAlias = Mapping[Resource, Fraction]
"""FLOPs or bytes per second."""


def rates(
    device: Device, number_type: str = DEFAULT_TYPE, efficiency: Efficiency = AT_BEST
) -> dict[Resource, Fraction]:
    """What a device does per second; of engines whose peak its vendor states.

    Matrix work is taken to run in one type of numbers throughout.
    """
    peaks = {
        Resource.MATRIX: device.peak(number_type),
        Resource.VECTOR: device.vector,
        Resource.MEMORY: device.memory_bandwidth,
        Resource.LINK: device.link_bandwidth,
    }
    return {
        resource: peak * efficiency.of(resource)
        for resource, peak in peaks.items()
        if peak is not None
    }


def demands(cost: Cost) -> dict[Resource, Expr]:
    """What a cost asks of the engines of one device: FLOPs, and bytes moved."""
    return {
        Resource.MATRIX: as_rational(cost.matrix_flops),
        Resource.VECTOR: as_rational(cost.vector_flops),
        Resource.MEMORY: as_rational(cost.bytes_moved),
    }


def seconds(demanded: Mapping[Resource, Expr], rate: Rates) -> dict[Resource, Expr]:
    """How long each engine takes, as formulas; of engines whose rate is known.

    Raises
    ------
    InputError
        Bytes go to other devices and the device states no link.
    """
    _require_link(demanded, rate)
    return {
        resource: amount / as_rational(rate[resource])
        for resource, amount in demanded.items()
        if resource in rate
    }


def _require_link(demanded: Mapping[Resource, object], rate: Rates) -> None:
    if Resource.LINK in demanded and Resource.LINK not in rate:
        raise InputError(
            "the device states no link_bandwidth, and several devices exchange bytes; state it in "
            "a file given as --devices"
        )


@dataclass(frozen=True)
class Timing:
    """How long something takes at least.

    Parameters
    ----------
    busy : mapping of Resource to Fraction
        The seconds that each engine needs in all.
    bound_by : mapping of Resource to Fraction
        The seconds in which each engine is the slowest; together they are the time.
    """

    busy: Mapping[Resource, Fraction]
    bound_by: Mapping[Resource, Fraction]

    @cached_property
    def seconds(self) -> Fraction:
        """The time."""
        return sum(self.bound_by.values(), Fraction())

    @property
    def bound(self) -> Resource | None:
        """The engine that is the slowest for the longest time; none where nothing runs."""
        if not self.seconds:
            return None
        return max(self.bound_by, key=lambda resource: self.bound_by[resource])

    @property
    def bound_text(self) -> str:
        """The engine that bounds, with its share of the time where others bound it too."""
        bound = self.bound
        if bound is None:
            return "–"
        share = self.bound_by[bound] / self.seconds
        return bound.value if share == 1 else f"{bound.value} {float(100 * share):.0f} %"

    def __truediv__(self, count: int) -> Timing:
        """The mean of so many equal ones."""
        return Timing(
            {resource: value / count for resource, value in self.busy.items()},
            {resource: value / count for resource, value in self.bound_by.items()},
        )


def timing(groups: Iterable[Mapping[Resource, Fraction]], rate: Rates) -> Timing:
    """The time of groups of work, one after the other, each as long as its slowest engine.

    Parameters
    ----------
    groups : iterable of mapping of Resource to Fraction
        What each group asks of the engines.

    Raises
    ------
    InputError
        Bytes go to other devices and the device states no link.
    """
    busy = dict.fromkeys(rate, Fraction())
    bound_by = dict.fromkeys(rate, Fraction())
    for group in groups:
        _require_link(group, rate)
        took = {r: amount / rate[r] for r, amount in group.items() if r in rate}
        for resource, value in took.items():
            busy[resource] += value
        slowest = max(took, key=lambda resource: took[resource])
        bound_by[slowest] += took[slowest]
    return Timing(busy, bound_by)


_RESOURCES = {MACS: (Resource.MATRIX, 2), VECTOR_FLOPS: (Resource.VECTOR, 1)}


def by_kernel(cost: Cost) -> list[dict[Resource, Expr]]:
    """What each kernel of a cost asks of the engines."""
    found: dict[str, dict[Resource, Expr]] = {}
    for entry in cost.entries:
        if isinstance(entry.resource, Traffic):
            resource, factor = Resource.MEMORY, 1
        elif entry.resource in _RESOURCES:
            resource, factor = _RESOURCES[entry.resource]
        else:
            continue
        group = found.setdefault(entry.kernel, {})
        group[resource] = group.get(resource, 0) + factor * entry.amount
    return list(found.values())
