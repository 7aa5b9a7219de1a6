"""Single files, CSV and NetCDF: they take their place when the sweep has ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import numpy as np

from symcost.errors import InputError
from symcost.sweeps.block import Block
from symcost.sweeps.files.aside import aside_of, writing
from symcost.sweeps.files.dataset import dataset
from symcost.sweeps.files.description import Description, library
from symcost.sweeps.files.rows import Rows


class SingleFile:
    """A file that is written aside and takes its place at once.

    Parameters
    ----------
    path : Path
        Its place.
    what : Description
        The sweep.
    overwrite : bool
        Whether a file there is replaced.
    """

    finished: frozenset[int] = frozenset()

    def __init__(self, path: Path, what: Description, *, overwrite: bool) -> None:
        self._path = path
        self._what = what
        self._overwrite = overwrite
        self._written = 0
        self._refuse_existing()
        self._aside = aside_of(path)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._begin()

    def write(self, index: int, block: Block) -> None:
        """Take the next chunk."""
        if index != self._written:
            raise ValueError(f"chunk {index} came where {self._written} was next")
        with writing(self._path):
            self._add(block)
        self._written += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                with writing(self._path):
                    self._complete()
        finally:
            self._aside.unlink(missing_ok=True)

    def _complete(self) -> None:
        if self._written != len(self._what.boxes):
            raise ValueError(f"{self._written} of {len(self._what.boxes)} chunks came")
        self._end()
        with self._aside.open("rb+") as file:
            os.fsync(file.fileno())
        self._refuse_existing()
        self._aside.replace(self._path)

    def _refuse_existing(self) -> None:
        if self._path.is_dir():
            raise InputError(f"{self._path} is a directory; allowed: a file")
        if self._path.exists() and not self._overwrite:
            raise InputError(f"{self._path} exists; allowed: to overwrite it")

    def _begin(self) -> None:
        raise NotImplementedError

    def _add(self, block: Block) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError


class CsvFile(SingleFile):
    """A table of text, one line for each point that the filters left."""

    def _begin(self) -> None:
        self._rows = Rows(self._what)
        self._file: Any = library("pyarrow.csv").CSVWriter(self._aside, self._rows.schema)

    def _add(self, block: Block) -> None:
        self._file.write_table(self._rows.table(block))

    def _end(self) -> None:
        self._file.close()


class NetcdfFile(SingleFile):
    """A NetCDF-4 file, for a sweep that fits in memory."""

    def _begin(self) -> None:
        library("h5netcdf")
        library("h5py")
        shape = self._what.shape
        self._arrays = {one.name: np.empty(shape, one.dtype) for one in self._what.columns}

    def _add(self, block: Block) -> None:
        metrics = self._what.metrics(block)
        for array, values in zip(self._arrays.values(), metrics, strict=True):
            array[block.box.slices] = values.reshape(block.box.shape)

    def _end(self) -> None:
        made = dataset(self._what, self._arrays)
        made.to_netcdf(self._aside, engine="h5netcdf", format="NETCDF4")
