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
        # Values of axes repeat; metrics grow smoothly, so that differences take a hundredth.
        integers = [one.name for one in what.columns if one.dtype.kind in "iu"]
        floats = [one.name for one in what.columns if one.dtype.kind == "f"]
        self._encoding = {
            "compression": "zstd",
            "use_dictionary": [one.name for one in what.coordinates],
            "column_encoding": {
                **dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
                **dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
            },
        }

    def names(self, chunk: int) -> tuple[str, ...]:
        """The part of a chunk."""
        return (f"part-{chunk:06}.parquet",)

    def encoded(self, block: Block) -> Iterator[bytes]:
        """The part of a block."""
        sink: Any = library("pyarrow").BufferOutputStream()
        self._parquet.write_table(self._rows.table(block), sink, **self._encoding)
        yield sink.getvalue().to_pybytes()

    @staticmethod
    def owns(name: str, manifest: Manifest) -> bool:
        """Whether it is the name of a part."""
        return bool(_PART.fullmatch(name)) and int(name[5:-8]) < manifest["chunks"]
