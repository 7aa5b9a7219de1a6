"""How often a metric lies in each of some bins of equal width, exactly and in two passes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.exact import Number
from symcost.sweeps.block import Block
from symcost.sweeps.reductions.extents import Extent, FirstPass, OfOneMetric
from symcost.sweeps.reductions.selections import Column

Counts: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Bins:
    """A histogram: bin i is from edge i to less than edge i + 1, the last bin with its end.

    Parameters
    ----------
    edges : tuple of int or Fraction
        One more than bins, exact, at equal distances; none where there were no points.
    counts : tuple of int
        Points of each bin.
    """

    edges: tuple[Number, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Histogram(FirstPass):
    """Counts in bins of equal width between the smallest and the largest value of a metric.

    A metric of one value only has one bin.

    Parameters
    ----------
    metric : str
        The metric.
    bins : int
        Bins, up to a million.
    """

    metric: str
    bins: int = 20

    def refined(self, merged: Extent | None) -> Binning | None:
        """The pass that counts.

        Raises
        ------
        InputError
            The values are floats that lie too far apart for a float.
        """
        if merged is None or merged.low == merged.high:
            return None
        if not math.isfinite(merged.high - merged.low):
            raise InputError(
                f"histogram of {self.metric}: its values are from {merged.low} to {merged.high}; "
                "allowed: a difference that float64 can hold"
            )
        low, high = Fraction(merged.low), Fraction(merged.high)
        starts = _first_values(_edges(low, high, self.bins)[:-1], merged.kind)
        return Binning(self.metric, low, high, starts)

    def result(self, merged: Extent | None) -> Bins:
        """The histogram of no points, or of one value."""
        if merged is None:
            return Bins((), ())
        ends = _edges(Fraction(merged.low), Fraction(merged.high), 1)
        return Bins(tuple(map(_exact, ends)), (merged.size,))


@dataclass(frozen=True, eq=False)
class Binning(OfOneMetric):
    """Counts the points of each bin, given the bins' first values in the metric's own type."""

    metric: str
    low: Fraction
    high: Fraction
    starts: Column

    def partial(self, block: Block) -> Counts:
        """The counts in one block."""
        values, bins = block.columns[self.metric], len(self.starts)
        offsets = values - self.starts[0]
        if values.dtype.kind == "i":
            offsets = offsets.view(np.uint64)  # a difference that wrapped around is right there
        # All roundings together are far below bins * 2^-49, so this is the right bin or the next.
        scaled = offsets / float(self.high - self.low)
        scaled *= bins
        scaled += bins * 2.0**-49
        places = scaled.astype(np.int64)
        np.minimum(places, bins - 1, out=places)
        places -= values < self.starts[places]
        return np.bincount(places, minlength=bins)

    def merge(self, first: Counts, second: Counts) -> Counts:
        """The counts in both."""
        return first + second

    def refined(self, merged: Counts) -> None:  # noqa: ARG002
        """All is counted."""
        return

    def result(self, merged: Counts) -> Bins:
        """The histogram."""
        edges = _edges(self.low, self.high, len(self.starts))
        return Bins(tuple(map(_exact, edges)), tuple(merged.tolist()))


def _edges(low: Fraction, high: Fraction, bins: int) -> list[Fraction]:
    return [low + (high - low) * i / bins for i in range(bins + 1)]


def _first_values(edges: list[Fraction], kind: str) -> Column:
    """The smallest value of a type that is not below each edge."""
    if kind == "i":
        return np.array([math.ceil(edge) for edge in edges], dtype=np.int64)
    nearest = [(float(edge), edge) for edge in edges]
    return np.array([math.nextafter(v, math.inf) if v < edge else v for v, edge in nearest])


def _exact(edge: Fraction) -> Number:
    return edge.numerator if edge.denominator == 1 else edge
