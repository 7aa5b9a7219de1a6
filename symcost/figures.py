"""The figures of a cost by name."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

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
    "gradient_bytes": "bytes of the gradients of weights, of a backward pass",
    "resident_bytes": "bytes of weights, cache, gradients and peak activations together",
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
