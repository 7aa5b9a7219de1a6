"""The points of a box by the model that serves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.numeric.boxes import Box
from symcost.sweeps.workloads import Points


@dataclass(frozen=True, eq=False)
class Part:
    """The points of a box that one model serves.

    Parameters
    ----------
    variant : int
        The number of the model, whose settings `Points.variants` holds.
    index : tuple
        Where they lie in an array of the box's shape: `array[part.index] = …`.
    sizes : mapping of str to array
        By symbol, of size 1 along axes that they do not depend on.
    """

    variant: int
    index: tuple[slice | NDArray[Any], ...]
    sizes: Mapping[str, NDArray[np.int64]]


def parts_of(points: Points, box: Box) -> Iterator[Part]:
    """The points of a box, model by model."""
    sizes = points.sizes(box)
    places = points.variant.places
    chosen = [
        _positions(places[axis][cut]) if axis in places else {0: slice(None)}
        for axis, cut in enumerate(box.slices)
    ]
    for together in product(*(found.items() for found in chosen)):
        index = [positions for _, positions in together]
        yield Part(
            int(points.variant.values[tuple(place for place, _ in together)]),
            _outer(index, box.shape),
            {symbol: _picked(size, index) for symbol, size in sizes.items()},
        )


def _positions(places: NDArray[Any]) -> dict[int, slice | NDArray[Any]]:
    """Where each place occurs, as a slice where it can be one."""
    found: dict[int, slice | NDArray[Any]] = {}
    for place in np.flatnonzero(np.bincount(places)).tolist():
        at = np.flatnonzero(places == place)
        first, last = int(at[0]), int(at[-1])
        found[place] = slice(first, last + 1) if last - first + 1 == len(at) else at
    return found


def _outer(
    positions: Sequence[slice | NDArray[Any]], shape: tuple[int, ...]
) -> tuple[slice | NDArray[Any], ...]:
    """An index of the product of positions on each axis."""
    if sum(not isinstance(at, slice) for at in positions) < 2:
        return tuple(positions)
    each = (np.arange(length)[at] for at, length in zip(positions, shape, strict=True))
    return np.ix_(*each)


def _picked(array: NDArray[Any], positions: Sequence[slice | NDArray[Any]]) -> NDArray[Any]:
    """An array at positions on those axes that it depends on."""
    for axis, at in enumerate(positions):
        if array.shape[axis] > 1:
            array = array[(slice(None),) * axis + (at,)]
    return array
