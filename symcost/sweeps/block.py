"""What was computed of a box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.numeric.boxes import Box

MOST_KEPT = 1 << 32
"""Bytes of results that are kept in memory."""


def counted(points: int, metrics: int) -> str:
    """How many points there are, and of how many metrics."""
    return f"{points} points of {metrics} metric{'s' * (metrics > 1)}"


@dataclass(frozen=True, eq=False)
class Block:
    """Figures at the points of a box.

    Parameters
    ----------
    box : Box
        The box.
    indices : array of int64, optional
        Flat indices of the points that passed the filters; None where all did.
    columns : mapping of str to array
        Metrics by name, of one dimension and in flat order: one value for each point left.
    """

    box: Box
    indices: NDArray[np.int64] | None
    columns: Mapping[str, NDArray[Any]]

    @property
    def size(self) -> int:
        """Points that are left."""
        return self.box.size if self.indices is None else len(self.indices)
