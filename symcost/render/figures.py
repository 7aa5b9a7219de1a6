"""Figures of costs by name."""

from __future__ import annotations

from typing import Any

from symcost.cost import METRICS, Cost, Unit
from symcost.figures import exact, unit_of


def cost_object(cost: Cost, *, with_parts: bool = True) -> dict[str, Any]:
    """A cost and its parts as JSON shows them."""
    found: dict[str, Any] = {metric: exact(cost.figure(metric)) for metric in METRICS}
    found |= {"intensity": cost.intensity, "activation_path": cost.peak_path}
    if with_parts:
        found["parts"] = {name: cost_object(part) for name, part in cost.parts.items()}
    return found


def sign_of(metric: str) -> str:
    """The sign of a metric's unit, which takes prefixes."""
    return "B" if unit_of(metric) is Unit.BYTES else "FLOPs"
