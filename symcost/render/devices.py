"""Devices as people read them and as an object of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from symcost.exact import decimal_text
from symcost.insight.devices import DEFAULT_TYPE, NUMBER_TYPES, Device
from symcost.render.sections import Section
from symcost.rounded import human

_NONE = "–"
"""Stands for what is not stated."""


def devices_object(devices: Mapping[str, Device]) -> dict[str, Any]:
    """Devices as JSON shows them; what is not stated is null."""
    return {
        "devices": {
            name: {
                "matrix_flops_per_s": {kind: _exact(at) for kind, at in device.matrix.items()},
                "vector_flops_per_s": _exact(device.vector),
                "memory_bytes": _exact(device.memory),
                "memory_bandwidth_bytes_per_s": _exact(device.memory_bandwidth),
                "link_bandwidth_bytes_per_s": _exact(device.link_bandwidth),
                "ridge_flops_per_byte": _exact(_ridge(device)),
                "sources": list(device.sources),
            }
            for name, device in devices.items()
        }
    }


def _exact(value: Fraction | None) -> int | str | None:
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else str(value)


def _ridge(device: Device) -> Fraction | None:
    return device.ridge() if DEFAULT_TYPE in device.matrix else None


def devices_sections(devices: Mapping[str, Device]) -> Iterator[Section]:
    """Devices as two tables: what bounds a model in bf16, and the peaks on other numbers."""
    yield Section(
        "Peaks in FLOPs per second, memory, and FLOPs per byte where bf16 meets bandwidth",
        ("device", DEFAULT_TYPE, "vector", "memory", "bandwidth", "link", "ridge"),
        [
            (
                name,
                _shown(device.matrix.get(DEFAULT_TYPE)),
                _shown(device.vector),
                _shown(device.memory, "B"),
                _shown(device.memory_bandwidth, "B/s"),
                _shown(device.link_bandwidth, "B/s"),
                _NONE if (ridge := _ridge(device)) is None else decimal_text(ridge),
            )
            for name, device in devices.items()
        ],
        words=1,
    )
    others = [
        kind
        for kind in NUMBER_TYPES
        if kind != DEFAULT_TYPE and any(kind in device.matrix for device in devices.values())
    ]
    yield Section(
        "Other peaks of the matrix units, dense",
        ("device", *others),
        [
            (name, *(_shown(device.matrix.get(kind)) for kind in others))
            for name, device in devices.items()
        ],
        words=1,
    )


def _shown(value: Fraction | None, unit: str = "") -> str:
    return _NONE if value is None else human(value, unit)


def devices_summary(devices: Mapping[str, Device]) -> Iterator[str]:
    """What the columns mean, and the sources."""
    yield "peaks are without sparsity; a link is what a device can send to others, in one direction"
    yield "memory is the vendor's figure with GB as 10^9 bytes, a lower bound of what is there"
    for name, device in devices.items():
        yield f"{name}: {'; '.join(device.sources) or 'no source given'}"
