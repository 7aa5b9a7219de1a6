"""The files of a sweep: where its chunks go, by the ending of a name."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from symcost.errors import InputError
from symcost.sweeps.axes import shown
from symcost.sweeps.block import MOST_KEPT, Block, counted
from symcost.sweeps.files.description import Column, Coordinate, Description
from symcost.sweeps.files.parquet_store import ParquetLayout
from symcost.sweeps.files.resumable import Layout, open_directory
from symcost.sweeps.files.single_files import CsvFile, NetcdfFile
from symcost.sweeps.files.zarr_store import ZarrLayout

__all__ = ["Column", "Coordinate", "Description", "Store", "open_store"]

DIRECTORIES: dict[str, Callable[[Description], Layout]] = {
    ".parquet": ParquetLayout,
    ".zarr": ZarrLayout,
}
"""Outputs that can be resumed."""
FILES = {".csv": CsvFile, ".nc": NetcdfFile}
"""Outputs that are there when the sweep has ended, or not at all."""
GRIDS = (".zarr", ".nc")
"""Outputs in which each point of the grid has a place."""


class Store(Protocol):
    """Where the chunks of a sweep go; left without an error, it is complete."""

    @property
    def finished(self) -> frozenset[int]:
        """Chunks that were there when it was opened."""

    def write(self, index: int, block: Block) -> None:
        """Write a chunk, each once and in the order of boxes."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def open_store(
    path: Path, what: Description, *, resume: bool = False, overwrite: bool = False
) -> Store:
    """Begin the output of a sweep, or go on with it.

    Parameters
    ----------
    path : Path
        `FILE.parquet` and `FILE.zarr` are directories and can be resumed; `FILE.csv` and `FILE.nc`
        take their place when the sweep has ended.
    what : Description
        The sweep.
    resume : bool
        Go on with what is there; begin where nothing is.
    overwrite : bool
        Replace an output of a sweep, or a file.

    Raises
    ------
    InputError
        The output exists, is not ours, is damaged, holds another sweep, is being written by another
        process, or cannot hold the sweep; nothing was changed then.
    """
    suffix, path = path.suffix, path.resolve()
    if suffix not in (*DIRECTORIES, *FILES):
        allowed = ", ".join(f"FILE{name}" for name in (*DIRECTORIES, *FILES))
        raise InputError(f"{path} has no known ending; allowed: {allowed}")
    if resume and overwrite:
        raise InputError(f"{path} cannot be resumed and overwritten at once; allowed: one of them")
    if what.filtered and suffix in GRIDS:
        raise InputError(
            f"{path} has a place for each point, and filters leave some out; "
            "allowed with filters: FILE.parquet, FILE.csv"
        )
    if suffix == ".nc" and what.nbytes > MOST_KEPT:
        size = counted(math.prod(what.shape), len(what.columns))
        raise InputError(
            f"{path} is written from memory, and {size} are too many to keep there; "
            "allowed: FILE.zarr"
        )
    if suffix in GRIDS:
        _refuse_alike(path, what)
    if suffix in DIRECTORIES:
        layout = DIRECTORIES[suffix](what)
        return open_directory(path, what, layout, resume=resume, overwrite=overwrite)
    if resume:
        raise InputError(f"{path} cannot be resumed; allowed: FILE.parquet, FILE.zarr")
    return FILES[suffix](path, what, overwrite=overwrite)


def _refuse_alike(path: Path, what: Description) -> None:
    """Refuse points of one name that are alike: in a grid, its values find them."""
    for coordinate in (axis[0] for axis in what.axes if len(axis) == 1):
        values, counts = np.unique(coordinate.array, return_counts=True)
        if counts.max() > 1:
            raise InputError(
                f"{path} has one place for each {coordinate.name}, and the table has "
                f"{shown(values[counts > 1][0])} in several rows; allowed: FILE.parquet, FILE.csv"
            )
