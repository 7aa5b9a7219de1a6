"""Points chosen out of a sweep: the best by one metric, the Pareto front of two, the first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.sweeps.block import Block

Column: TypeAlias = NDArray[Any]
Positions: TypeAlias = NDArray[np.int64]

_FEW = 256
"""Points that are sorted at once, or looked at as a sample."""
_WORTHWHILE = 1 / 16
"""The share of points that a comparison with one has to rule out, to be cheaper than sorting."""


@dataclass(frozen=True, eq=False)
class Found:
    """Points that were chosen, the best one first; none where there were none.

    Parameters
    ----------
    indices : array of int64
        Their flat indices.
    columns : mapping of str to array
        What they were chosen by.
    """

    indices: NDArray[np.int64]
    columns: Mapping[str, Column]


class Selection(ABC):
    """A choice of points in one pass, that can be made anew among what two parts have chosen."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The metrics that it chooses by."""

    @abstractmethod
    def _chosen(self, size: int, columns: Sequence[Column]) -> Positions:
        """Where the chosen ones of so many points are, the best one first.

        Of equal points the one that lies before the others is the better one.
        """

    def partial(self, block: Block) -> Found:
        """What is chosen of one block."""
        columns = {name: block.columns[name] for name in self.columns}
        positions = self._chosen(block.size, list(columns.values()))
        indices = positions + block.box.first if block.indices is None else block.indices[positions]
        return _taken(positions, indices, columns)

    def merge(self, first: Found, second: Found) -> Found:
        """What is chosen of both, where the points of `first` lie before those of `second`."""
        indices = np.concatenate([first.indices, second.indices])
        columns = {
            name: np.concatenate([first.columns[name], second.columns[name]])
            for name in self.columns
        }
        positions = self._chosen(len(indices), list(columns.values()))
        return _taken(positions, indices[positions], columns)

    def settled(self, merged: Found) -> bool:  # noqa: ARG002
        """Whether no point further on can change what was chosen."""
        return False

    def refined(self, merged: Found) -> None:  # noqa: ARG002
        """One pass is enough."""
        return

    def result(self, merged: Found) -> Found:
        """The chosen points."""
        return merged


@dataclass(frozen=True)
class Best(Selection):
    """The points where a metric is smallest or largest; of equal ones those of lowest index.

    Parameters
    ----------
    metric : str
        The metric.
    count : int
        Points to find.
    largest : bool
        Whether large values are better.
    """

    metric: str
    count: int = 1
    largest: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The metric."""
        return (self.metric,)

    def _chosen(self, size: int, columns: Sequence[Column]) -> Positions:
        values = _minimised(columns[0], self.largest)
        if size <= self.count:
            return np.argsort(values, kind="stable")
        if self.count == 1:
            return np.array([values.argmin()])
        last = np.partition(values, self.count - 1)[self.count - 1]
        better = np.flatnonzero(values < last)
        equal = np.flatnonzero(values == last)[: self.count - len(better)]
        return np.concatenate([better[np.argsort(values[better], kind="stable")], equal])


@dataclass(frozen=True)
class Pareto(Selection):
    """The points that no other dominates in two metrics, in order of the first one.

    Parameters
    ----------
    metrics : tuple of two str
        The metrics.
    largest : tuple of two bool
        Whether large values of each are better.
    """

    metrics: tuple[str, str]
    largest: tuple[bool, bool] = (False, False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Both metrics."""
        return self.metrics

    def _chosen(self, size: int, columns: Sequence[Column]) -> Positions:  # noqa: ARG002
        return _undominated(*map(_minimised, columns, self.largest))


@dataclass(frozen=True)
class First(Selection):
    """The first point in flat order, such as the first that passes a filter."""

    columns: ClassVar[tuple[()]] = ()

    def _chosen(self, size: int, columns: Sequence[Column]) -> Positions:  # noqa: ARG002
        return np.arange(min(size, 1))

    def settled(self, merged: Found) -> bool:
        """Whether there is one."""
        return len(merged.indices) > 0


def _minimised(values: Column, largest: bool) -> Column:
    """The values in an order where small ones are better; ~ reverses integers without overflow."""
    if not largest:
        return values
    return ~values if values.dtype.kind == "i" else -values


def _taken(positions: Positions, indices: Positions, columns: Mapping[str, Column]) -> Found:
    return Found(indices, {name: column[positions] for name, column in columns.items()})


def _undominated(a: Column, b: Column) -> Positions:
    """Where the points are that no other dominates, both values being better where they are small.

    A few points dominate nearly all others as a rule, and comparing is far cheaper than sorting.
    A sample shows which point thins out the most, until none does any longer.
    """
    kept = np.arange(len(a))
    while len(kept) > _FEW:
        some = slice(None, None, len(kept) // _FEW | 1)  # odd, not to fall in with a grid's axes
        x, y = a[some], b[some]
        front = _front(x, y)
        beaten = ((x >= x[front, None]) & (y >= y[front, None])).sum(axis=1) - 1  # not by itself
        if beaten.max() < _WORTHWHILE * len(x):
            break
        pivot = front[beaten.argmax()]
        left = (a < x[pivot]) | (b < y[pivot])
        left[((a == x[pivot]) & (b == y[pivot])).argmax()] = True
        remaining = np.flatnonzero(left)
        kept, a, b = kept[remaining], a[remaining], b[remaining]
    order = np.argsort(a)
    in_order = b[order]
    candidates = np.sort(order[in_order <= np.minimum.accumulate(in_order)])
    return kept[candidates[_front(a[candidates], b[candidates])]]


def _front(a: Column, b: Column) -> Positions:
    """The same by sorting: a point is on the front if `b` is smaller than at all before it."""
    order = np.lexsort((b, a))
    in_order = b[order]
    on_front = np.ones(len(order), dtype=bool)
    on_front[1:] = in_order[1:] < np.minimum.accumulate(in_order)[:-1]
    return order[on_front]
