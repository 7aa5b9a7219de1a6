"""The points of a sweep as rows of a table: its axes, then its metrics."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from symcost.sweeps.block import Block
from symcost.sweeps.files.description import Description, attributes, library


class Rows:
    """Makes tables of Arrow from blocks.

    Parameters
    ----------
    what : Description
        The sweep.
    """

    def __init__(self, what: Description) -> None:
        self._what = what
        self._pa = library("pyarrow")
        self._values = [self._pa.array(one.array) for one in what.coordinates]
        self._axis = [place for place, axis in enumerate(what.axes) for _ in axis]
        coordinates = zip(what.coordinates, self._values, strict=True)
        self.schema = self._pa.schema(
            [
                *(self._field(one, values.type) for one, values in coordinates),
                *(self._field(one, self._pa.from_numpy_dtype(one.dtype)) for one in what.columns),
            ],
            metadata={"symcost": json.dumps(dict(what.identity))},
        )

    def table(self, block: Block) -> Any:
        """The points of a block that are left, in flat order."""
        box, places = block.box, block.indices
        if places is None:
            places = np.arange(box.first, box.first + box.size)
        positions = np.unravel_index(places, self._what.shape) if self._what.axes else ()
        axes = zip(self._values, self._axis, strict=True)
        return self._pa.table(
            [
                *(values.take(self._pa.array(positions[axis])) for values, axis in axes),
                *(self._pa.array(values) for values in self._what.metrics(block)),
            ],
            schema=self.schema,
        )

    def _field(self, labelled: Any, kind: Any) -> Any:
        return self._pa.field(labelled.name, kind, nullable=False, metadata=attributes(labelled))
