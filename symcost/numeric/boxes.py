"""Grids in pieces: boxes of points that are computed together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symcost.errors import InputError

MOST_POINTS = int(np.iinfo(np.int64).max)
"""Points are numbered by int64."""


@dataclass(frozen=True)
class Box:
    """A rectangle of the grid whose points are also a contiguous range of flat indices.

    Parameters
    ----------
    start, stop : tuple of int
        The first position on each axis, and the one behind the last.
    first : int
        The flat index of its first point.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    first: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Points in all."""
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        """What cuts it out of an array over the whole grid."""
        return tuple(map(slice, self.start, self.stop))


class Boxes(Sequence[Box]):
    """A grid cut into boxes of at most so many points each, in flat order.

    Leading axes have one value in a box, then one axis is cut into pieces of the same length
    (the last may be shorter), and the axes behind it are whole. It is a sequence whose boxes are
    made when they are asked for, so that a grid of 10^12 points takes no memory.

    Parameters
    ----------
    shape : tuple of int
        Values of each axis.
    most : int
        Points of a box.
    """

    def __init__(self, shape: tuple[int, ...], most: int) -> None:
        if most < 1:
            raise InputError(f"a chunk of {most} points; allowed: at least 1")
        if math.prod(shape) > MOST_POINTS:
            raise InputError(
                f"the axes make {math.prod(shape)} points; allowed: at most {MOST_POINTS}"
            )
        self._shape = shape
        # An axis of one value in front is the one that is cut where all others are whole.
        lengths = (1, *shape)
        cut = len(shape)
        while cut and math.prod(lengths[cut:]) <= most:
            cut -= 1
        self._leading, self._length, self._trailing = (
            lengths[:cut],
            lengths[cut],
            lengths[cut + 1 :],
        )
        self._rest = math.prod(self._trailing)
        self._pieces = -(-self._length // (most // self._rest)) if self._rest else 0
        self._step = -(-self._length // self._pieces) if self._pieces else 0

    def __len__(self) -> int:
        return math.prod(self._leading) * self._pieces

    def __getitem__(self, number: int) -> Box:  # type: ignore[override]
        if not 0 <= number < len(self):
            raise IndexError(number)
        lead, piece = divmod(number, self._pieces)
        places = [int(place) for place in np.unravel_index(lead, self._leading)]
        begin, end = (min(self._length, self._step * at) for at in (piece, piece + 1))
        start = (*places, begin, *(0 for _ in self._trailing))
        stop = (*(place + 1 for place in places), end, *self._trailing)
        return Box(start[1:], stop[1:], (lead * self._length + begin) * self._rest)
