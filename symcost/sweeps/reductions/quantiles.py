"""Exact quantiles of a metric without its points: brackets of values, narrowed by counting."""

from __future__ import annotations

import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.sweeps.block import Block
from symcost.sweeps.reductions.extents import Extent, FirstPass, OfOneMetric
from symcost.sweeps.reductions.selections import Column

Keys: TypeAlias = NDArray[np.uint64]
"""Integers in the order of a metric's values, so that a range of values can be halved."""

CELL_BITS = 16
"""All brackets of a pass are counted in some 2 to this power cells, which fit into a cache."""
KEPT = 1 << 18
"""So few points are kept and sorted, rather than counted once more."""
_TOP = 1 << 63


@dataclass(frozen=True)
class Bracket:
    """A range of keys, both ends included, and how many points are in it."""

    low: int
    high: int
    size: int

    @property
    def width(self) -> int:
        """How far its ends are apart."""
        return self.high - self.low


Place: TypeAlias = tuple[Bracket, int]
"""The bracket in which a quantile lies, and its rank in there, from 1 on."""


@dataclass(frozen=True)
class Search:
    """What is known of some quantiles of a metric: the place of each."""

    metric: str
    kind: str
    places: dict[Fraction, Place]

    @property
    def open(self) -> list[Bracket]:
        """Brackets of more than one value, in order; they do not overlap."""
        brackets = {bracket for bracket, _ in self.places.values() if bracket.width}
        return sorted(brackets, key=lambda bracket: bracket.low)

    def narrowed(self, narrow: Callable[[Bracket, int], Place]) -> Search:
        """The search with each open bracket replaced."""
        places = {
            fraction: narrow(bracket, rank) if bracket.width else (bracket, rank)
            for fraction, (bracket, rank) in self.places.items()
        }
        return replace(self, places=places)


class Pass(OfOneMetric, ABC):
    """One pass of a search."""

    @abstractmethod
    def partial(self, block: Block) -> Any:
        """What one block contributes."""

    @abstractmethod
    def merge(self, first: Any, second: Any) -> Any:
        """What two parts contribute."""

    @abstractmethod
    def known(self, merged: Any) -> Search:
        """What is known after the pass."""

    def refined(self, merged: Any) -> Pass | None:
        """The next pass, until each bracket is of one value."""
        search = self.known(merged)
        if not search.open:
            return None
        few = sum(bracket.size for bracket in search.open) <= KEPT
        return Keeping(search.metric, search) if few else Counting(search.metric, search)

    def result(self, merged: Any) -> dict[Fraction, int | float]:
        """The values by fraction; empty where there were no points."""
        search = self.known(merged)
        return {
            fraction: _value(bracket.low, search.kind)
            for fraction, (bracket, _) in search.places.items()
        }


@dataclass(frozen=True)
class Quantiles(FirstPass, Pass):
    """The values at rank ceil(fraction * points), at least 1, of all points in order of a metric.

    It is NumPy's method `inverted_cdf`. A pass makes the bracket of a value 2^16 times narrower,
    less where several are asked for; as soon as few points are left, a last pass keeps them.

    Parameters
    ----------
    metric : str
        The metric.
    fractions : tuple of Fraction
        From 0 to 1.
    """

    metric: str
    fractions: tuple[Fraction, ...]

    def known(self, merged: Extent | None) -> Search:
        """All quantiles lie between the ends of the metric."""
        if merged is None:
            return Search(self.metric, "", {})
        low, high = _keys(np.array([merged.low, merged.high], dtype=f"{merged.kind}8")).tolist()
        bracket = Bracket(low, high, merged.size)
        ranks = {q: max(1, math.ceil(q * merged.size)) for q in self.fractions}
        return Search(self.metric, merged.kind, {q: (bracket, rank) for q, rank in ranks.items()})


@dataclass(frozen=True)
class Counting(Pass):
    """Counts the points in cells of equal width of each open bracket."""

    metric: str
    search: Search

    @property
    def _bits(self) -> int:
        return max(1, CELL_BITS - (len(self.search.open) - 1).bit_length())

    def _shift(self, bracket: Bracket) -> int:
        return max(0, bracket.width.bit_length() - self._bits)

    def partial(self, block: Block) -> NDArray[np.int64]:
        """Counts by bracket and cell."""
        keys = _keys(block.columns[self.metric])
        rows = []
        for bracket in self.search.open:
            offsets = keys - np.uint64(bracket.low)
            inside = offsets[np.flatnonzero(offsets <= np.uint64(bracket.width))]
            cells = (inside >> np.uint64(self._shift(bracket))).view(np.int64)
            rows.append(np.bincount(cells, minlength=1 << self._bits))
        return np.array(rows)

    def merge(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
        """The counts in both."""
        return first + second

    def known(self, merged: NDArray[np.int64]) -> Search:
        """Each quantile lies in the cell where the points counted so far reach its rank."""
        counts = dict(zip(self.search.open, merged, strict=True))

        def cell_of(bracket: Bracket, rank: int) -> Place:
            reached = np.cumsum(counts[bracket])
            cell = int(np.searchsorted(reached, rank))
            size = int(counts[bracket][cell])
            low = bracket.low + (cell << self._shift(bracket))
            high = min(bracket.high, low + (1 << self._shift(bracket)) - 1)
            return Bracket(low, high, size), rank - (int(reached[cell]) - size)

        return self.search.narrowed(cell_of)


@dataclass(frozen=True)
class Keeping(Pass):
    """Keeps the points of all open brackets."""

    metric: str
    search: Search

    def partial(self, block: Block) -> tuple[Keys, ...]:
        """Their keys, in pieces that are put together once."""
        keys = _keys(block.columns[self.metric])
        inside = np.zeros(len(keys), dtype=bool)
        for bracket in self.search.open:
            inside |= keys - np.uint64(bracket.low) <= np.uint64(bracket.width)
        kept = keys[np.flatnonzero(inside)]
        return (kept,) if len(kept) else ()

    def merge(self, first: tuple[Keys, ...], second: tuple[Keys, ...]) -> tuple[Keys, ...]:
        """The pieces of both."""
        return first + second

    def known(self, merged: tuple[Keys, ...]) -> Search:
        """Each quantile is the key at its rank."""
        keys = np.sort(np.concatenate(merged))

        def key_of(bracket: Bracket, rank: int) -> Place:
            key = int(keys[np.searchsorted(keys, np.uint64(bracket.low)) + rank - 1])
            return Bracket(key, key, 1), 1

        return self.search.narrowed(key_of)


def _keys(values: Column) -> Keys:
    """Keys of integers, and of floats by their bits, whose order a sign reverses."""
    if values.dtype.kind == "i":
        return values.view(np.uint64) ^ np.uint64(_TOP)
    bits = (values + 0.0).view(np.uint64)  # the sum makes one zero of the two
    signs = (bits.view(np.int64) >> 63).view(np.uint64)
    return bits ^ (signs | np.uint64(_TOP))


def _value(key: int, kind: str) -> int | float:
    """The value that has a key."""
    if kind == "i":
        return key - _TOP
    bits = key ^ (_TOP if key & _TOP else 2 * _TOP - 1)
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value
