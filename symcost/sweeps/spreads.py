"""Values over a grid that depend on some of its axes only, kept no larger than that."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.numeric.boxes import Box
from symcost.sweeps.axes import Axis, Column, Setting


@dataclass(frozen=True, eq=False)
class Spread:
    """Values over the whole grid.

    Parameters
    ----------
    values : array
        The different values: one dimension for each axis, of size 1 where they do not depend on it.
    places : mapping of int to array
        By number of an axis, which of the values each position has. On axes without, each position
        has its own.
    """

    values: NDArray[Any]
    places: Mapping[int, NDArray[Any]]

    def at(self, box: Box) -> NDArray[Any]:
        """The values in a box, of size 1 along axes that they do not depend on."""
        cuts = tuple(
            slice(None) if axis in self.places or length == 1 else cut
            for axis, (cut, length) in enumerate(zip(box.slices, self.values.shape, strict=True))
        )
        found = self.values[cuts]
        for axis, places in self.places.items():
            found = found.take(places[box.slices[axis]], axis=axis)
        return found


def spread_of(column: Column, axis: int | None, dimensions: int) -> Spread:
    """The values of one name, which an axis sets, or which is one value everywhere."""
    shape = tuple(-1 if number == axis else 1 for number in range(dimensions))
    if column.texts is None:
        return Spread(column.numbers.reshape(shape), {})
    return Spread(column.texts.reshape(shape), {} if axis is None else {axis: column.numbers})


def spread_over(
    axes: Sequence[Axis], names: Collection[str], ask: Callable[[Setting], int]
) -> Spread:
    """What is found for each different combination of the values that axes give to some names."""
    settings: dict[int, list[Setting]] = {}
    places: dict[int, NDArray[Any]] = {}
    for number, axis in enumerate(axes):
        if own := [name for name in axis.names if name in names]:
            settings[number], found = axis.distinct(own)
            places[number] = found.astype(np.min_scalar_type(len(settings[number])))
    values = [
        ask({name: value for setting in together for name, value in setting.items()})
        for together in product(*settings.values())
    ]
    shape = [len(settings.get(number, [{}])) for number in range(len(axes))]
    return Spread(np.array(values, np.int64).reshape(shape), places)
