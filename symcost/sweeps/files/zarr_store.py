"""A Zarr group, one array for each metric, in which each chunk has files of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from symcost.numeric.boxes import Box
from symcost.sweeps.block import Block
from symcost.sweeps.files.description import (
    Column,
    Coordinate,
    Description,
    attributes,
    library,
)
from symcost.sweeps.files.manifest import Manifest


class ZarrLayout:
    """A Zarr v3 group whose chunks are the boxes of the sweep.

    zarr encodes into memory; what comes of it is written as all other files are.
    """

    kind = "zarr"

    def __init__(self, what: Description) -> None:
        self._what = what
        self._chunk = what.boxes[0].shape
        self._place(what.boxes[len(what.boxes) - 1])
        self._memory: dict[str, Any] = {}
        zarr = library("zarr")
        self._group = zarr.create_group(
            zarr.storage.MemoryStore(self._memory),
            attributes={
                "symcost": json.dumps(dict(what.identity)),
                "coordinates": " ".join(sorted(one.name for one in what.coordinates)),
            },
        )
        for dimension, axis in zip(what.dimensions, what.axes, strict=True):
            for one in axis:
                values = one.array
                dtype = "string" if values.dtype == object else values.dtype
                array = self._array(one, (dimension,), shape=values.shape, dtype=dtype)
                array[:] = values
        # Metrics grow smoothly, so that their upper bytes are alike.
        packed = zarr.codecs.BloscCodec(cname="lz4", shuffle="shuffle")
        how = {"shape": what.shape, "chunks": self._chunk, "compressors": packed}
        self._arrays = [
            self._array(one, what.dimensions, dtype=one.dtype, **how) for one in what.columns
        ]
        self.fixed = self._taken()
        self.fixed["zarr.json"] = _consolidated(self.fixed)

    def names(self, chunk: int) -> list[str]:
        """The file of a chunk in each array."""
        place = "/".join(("c", *map(str, self._place(self._what.boxes[chunk]))))
        return [f"{column.name}/{place}" for column in self._what.columns]

    def encoded(self, block: Block) -> Iterator[bytes]:
        """The chunk of each array."""
        for array, values in zip(self._arrays, self._what.metrics(block), strict=True):
            array[block.box.slices] = values.reshape(block.box.shape)
            (content,) = self._taken().values()
            yield content

    @staticmethod
    def owns(name: str, manifest: Manifest) -> bool:
        """Whether it is the metadata or a chunk of an array of the sweep."""
        array, _, rest = name.partition("/")
        known = {one["name"] for axis in manifest["axes"] for one in axis}
        known |= {one["name"] for one in manifest["columns"]}
        first, *places = rest.split("/")
        is_chunk = first == "c" and all(place.isdecimal() for place in places)
        return name == "zarr.json" or (array in known and (rest == "zarr.json" or is_chunk))

    def _array(self, labelled: Coordinate | Column, dimensions: tuple[str, ...], **how: Any) -> Any:
        return self._group.create_array(
            labelled.name,
            dimension_names=dimensions,
            attributes=attributes(labelled),
            config={"write_empty_chunks": True},
            **how,
        )

    def _place(self, box: Box) -> tuple[int, ...]:
        """Where a box is in the grid of chunks."""
        sides = list(zip(box.start, box.stop, self._chunk, self._what.shape, strict=True))
        if any(a % side or b != min(a + side, length) for a, b, side, length in sides):
            raise ValueError(f"{box} is no chunk of a grid cut by {self._chunk}")
        return tuple(start // side for start, _, side, _ in sides)

    def _taken(self) -> dict[str, bytes]:
        """The files that zarr made since the last call."""
        made = {name: content.to_bytes() for name, content in sorted(self._memory.items())}
        self._memory.clear()
        return made


def _consolidated(files: Mapping[str, bytes]) -> bytes:
    """The metadata of a group with that of its arrays, so that readers need not look for them.

    Looking, zarr would warn of every file that is none of its own.
    """
    suffix = "/zarr.json"
    arrays = {
        name.removesuffix(suffix): json.loads(content)
        for name, content in files.items()
        if name.endswith(suffix)
    }
    group = json.loads(files["zarr.json"])
    group["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": arrays,
    }
    return json.dumps(group, indent=2).encode()
