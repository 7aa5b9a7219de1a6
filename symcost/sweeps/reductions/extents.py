"""How far a metric extends: the first pass of what then divides its range."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from symcost.sweeps.block import Block


@dataclass(frozen=True)
class Extent:
    """How many points there are, and the smallest and the largest value of a metric.

    Parameters
    ----------
    size : int
        Points.
    low, high : int or float
        The values.
    kind : str
        NumPy's letter for their type: i for int64, f for float64.
    """

    size: int
    low: int | float
    high: int | float
    kind: str


class OfOneMetric:
    """A pass that needs one metric, of all points."""

    metric: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The metric."""
        return (self.metric,)

    def settled(self, merged: Any) -> bool:  # noqa: ARG002
        """All points count."""
        return False


class FirstPass(OfOneMetric):
    """Finds the extent of a metric; None of no points."""

    def partial(self, block: Block) -> Extent | None:
        """The extent in one block."""
        values = block.columns[self.metric]
        if not block.size:
            return None
        return Extent(len(values), values.min().item(), values.max().item(), values.dtype.kind)

    def merge(self, first: Extent | None, second: Extent | None) -> Extent | None:
        """The extent in both."""
        if first is None or second is None:
            return first or second
        return replace(
            first,
            size=first.size + second.size,
            low=min(first.low, second.low),
            high=max(first.high, second.high),
        )
