"""A directory of Parquet files, one for each chunk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from symcost.sweeps.block import Block
from symcost.sweeps.files.description import Description, library
from symcost.sweeps.files.manifest import Manifest
from symcost.sweeps.files.rows import Rows

_PART = re.compile(r"part-[0-9]{6,}\.parquet")


class ParquetLayout:
    """A part for each chunk, with the points that the filters left."""

    kind = "parquet"
    fixed: Mapping[str, bytes] = MappingProxyType({})

    def __init__(self, what: Description) -> None:
        self._parquet = library("pyarrow.parquet")
        self._rows = Rows(what)
        self._repeated = [one.name for one in what.coordinates]

    def names(self, chunk: int) -> tuple[str, ...]:
        """The part of a chunk."""
        return (f"part-{chunk:06}.parquet",)

    def encoded(self, block: Block) -> Iterator[bytes]:
        """The part of a block."""
        sink: Any = library("pyarrow").BufferOutputStream()
        # Values of axes repeat and those of metrics do not: a dictionary for them is only work.
        self._parquet.write_table(
            self._rows.table(block), sink, use_dictionary=self._repeated, compression="zstd"
        )
        yield sink.getvalue().to_pybytes()

    @staticmethod
    def owns(name: str, manifest: Manifest) -> bool:
        """Whether it is the name of a part."""
        return bool(_PART.fullmatch(name)) and int(name[5:-8]) < manifest["chunks"]
