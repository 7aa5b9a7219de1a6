"""What a sweep is, as far as its files are concerned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost import extras
from symcost.errors import InputError
from symcost.numeric.boxes import Box
from symcost.sweeps.block import Block

library = partial(extras.library, extra="sweep")
"""A module of the extra `sweep`."""


@dataclass(frozen=True, eq=False)
class Coordinate:
    """One name of an axis, and its values: integers, floats, truth values or texts."""

    name: str
    values: NDArray[Any] | Sequence[str]
    description: str
    unit: str

    @property
    def array(self) -> NDArray[Any]:
        """The values; texts as Python objects."""
        values = np.asarray(self.values)
        return values if values.dtype.kind in "iufb" else values.astype(object)


@dataclass(frozen=True)
class Column:
    """One metric."""

    name: str
    dtype: np.dtype[Any]
    description: str
    unit: str


@dataclass(frozen=True, eq=False)
class Description:
    """What a sweep is, as far as its files are concerned.

    Parameters
    ----------
    axes : tuple of tuple of Coordinate
        By axis; several where names go together.
    columns : tuple of Column
        The metrics.
    boxes : sequence of Box
        The chunks, in flat order.
    filtered : bool
        Whether points may be left out.
    identity : mapping of str to JSON values
        What the numbers follow from besides: model, options, filters, version of symcost.

    Raises
    ------
    InputError
        A name occurs twice.
    """

    axes: tuple[tuple[Coordinate, ...], ...]
    columns: tuple[Column, ...]
    boxes: Sequence[Box]
    filtered: bool
    identity: Mapping[str, Any]

    def __post_init__(self) -> None:
        names = [coordinate.name for coordinate in self.coordinates]
        zipped = [dim for dim in self.dimensions if dim not in names]
        seen: set[str] = set()
        for name in (*names, *zipped, *(column.name for column in self.columns)):
            if name in seen:
                raise InputError(f"two columns are called {name}; allowed: different names")
            seen.add(name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values of each axis."""
        return tuple(len(axis[0].values) for axis in self.axes)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """A name for each axis: its own, or `point` where several go together."""
        zipped = sum(len(axis) > 1 for axis in self.axes)
        return tuple(
            axis[0].name if len(axis) == 1 else "point" if zipped == 1 else f"point_{place}"
            for place, axis in enumerate(self.axes)
        )

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """All names of all axes."""
        return tuple(coordinate for axis in self.axes for coordinate in axis)

    @property
    def nbytes(self) -> int:
        """Bytes of all metrics at all points."""
        return math.prod(self.shape) * sum(column.dtype.itemsize for column in self.columns)

    def metrics(self, block: Block) -> list[NDArray[Any]]:
        """The metrics of a block in the order of columns, refused where they are of another kind.

        Files would cast them without a word.
        """
        points = block.box.size if block.indices is None else len(block.indices)
        found = [np.asarray(block.columns[column.name]) for column in self.columns]
        for column, values in zip(self.columns, found, strict=True):
            if values.dtype != column.dtype or values.shape != (points,):
                raise TypeError(
                    f"{column.name} is {values.dtype} of shape {values.shape}; "
                    f"stated: {column.dtype} of shape ({points},)"
                )
        return found


def attributes(labelled: Coordinate | Column) -> dict[str, str]:
    """What a file says of a column."""
    return {"units": labelled.unit, "description": labelled.description}
