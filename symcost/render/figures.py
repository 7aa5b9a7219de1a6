"""Figures of costs by name, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from symcost.cost import Amount, Cost
from symcost.errors import InputError

METRICS: Mapping[str, str] = {
    "flops": "FLOPs",
    "matrix_flops": "FLOPs of the matrix engine, 2 per multiply-accumulate",
    "vector_flops": "FLOPs of everything else, at the documented cost per element",
    "bytes_read": "bytes that kernels read",
    "bytes_written": "bytes that kernels write",
    "weight_bytes": "bytes of resident weights",
    "activation_bytes": "peak bytes of live activations",
    "kv_bytes": "bytes of the KV cache after the stage",
}
"""What can be asked of a cost, and what it means."""


def figure(cost: Cost, metric: str) -> Amount:
    """One figure of a cost."""
    if metric not in METRICS:
        raise InputError(f"metric is {metric!r}; allowed: {', '.join(METRICS)}")
    amount: Amount = getattr(cost, metric)
    return amount


def exact(amount: Amount) -> int | str:
    """A number for JSON: an integer, or p/q as text where widths make it a fraction."""
    return str(amount) if isinstance(amount, Fraction) else int(amount)


def cost_object(cost: Cost) -> dict[str, Any]:
    """A cost and its parts as JSON shows them."""
    return {
        **{metric: exact(figure(cost, metric)) for metric in METRICS},
        "intensity": cost.intensity,
        "parts": {name: cost_object(part) for name, part in cost.parts.items()},
    }


_PREFIXES = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def human(amount: Amount, unit: str = "") -> str:
    """Four significant digits and a decimal prefix: 976.9 G."""
    value = float(amount)
    for factor, prefix in _PREFIXES:
        if value >= factor:
            value, unit = value / factor, prefix + unit
            break
    else:
        return f"{value:g} {unit}".strip()
    digits = 3 - min(3, len(str(int(value))) - 1)
    return f"{value:.{digits}f} {unit}"
