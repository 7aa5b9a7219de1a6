"""A sweep as an xarray.Dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from symcost.sweeps.files.description import Description, attributes, library


def dataset(what: Description, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """An xarray.Dataset of metrics over the grid, with the axes as coordinates.

    Parameters
    ----------
    what : Description
        The sweep.
    arrays : mapping of str to array
        Metrics by name, of the sweep's shape.
    """
    axes = zip(what.dimensions, what.axes, strict=True)
    return library("xarray").Dataset(
        {one.name: (what.dimensions, arrays[one.name], attributes(one)) for one in what.columns},
        {one.name: (name, one.array, attributes(one)) for name, axis in axes for one in axis},
        {"symcost": json.dumps(dict(what.identity))},
    )
