"""The manifest of a directory: which sweep it holds, and whether that is the one at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.sweeps.files.description import Description, attributes

MANIFEST = "_symcost.json"
"""Its file; readers of Parquet skip names that begin so."""
VERSION = 1
"""Version of the layout of directories."""

Manifest: TypeAlias = dict[str, Any]
_SHOWN = 40
"""Signs of a differing entry that a message repeats."""


def digest(content: bytes | memoryview) -> str:
    """A digest of bytes."""
    return blake2b(content, digest_size=32).hexdigest()


def manifest_of(what: Description, kind: str) -> Manifest:
    """What identifies a sweep and its files; values of axes by their digest."""
    entries: Manifest = {
        "format": "symcost sweep",
        "version": VERSION,
        "kind": kind,
        "axes": [
            [
                {"name": one.name, **attributes(one), "values": _digest_of_values(one.array)}
                for one in axis
            ]
            for axis in what.axes
        ],
        "columns": [
            {"name": one.name, **attributes(one), "dtype": str(one.dtype)} for one in what.columns
        ],
        "identity": dict(what.identity),  # behind what its formulas differ by
        "filtered": what.filtered,
        "shape": list(what.shape),
        "chunks": len(what.boxes),
        "chunk": list(what.boxes[0].shape),
    }
    return {**entries, "fingerprint": _fingerprint(entries)}


def write(manifest: Manifest) -> bytes:
    """A manifest as the bytes of its file."""
    return json.dumps(manifest, indent=2, allow_nan=False).encode() + b"\n"


def read(content: bytes) -> Manifest:
    """A manifest from the bytes of its file.

    Raises
    ------
    ValueError
        It is none, or it was changed after it was written.
    """
    found = json.loads(content)
    if not isinstance(found, dict) or found.get("format") != "symcost sweep":
        raise ValueError("it is no manifest of a sweep")
    entries = {name: entry for name, entry in found.items() if name != "fingerprint"}
    if found.get("fingerprint") != _fingerprint(entries):
        raise ValueError("it was changed after it was written")
    if found.get("version") != VERSION:
        raise ValueError(f"it has version {found.get('version')}, not {VERSION}")
    return found


def difference(there: Manifest, here: Manifest) -> str | None:
    """The first entry that differs, in words; None where there is none."""
    plain = json.loads(write(here))
    return next(_differences(there, plain, ""), None)


def _differences(there: Any, here: Any, where: str) -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        for name in here | there:
            place = f"{where}.{name}" if where else name
            if name not in there or name not in here:
                yield f"{place} is only {'here' if name in here else 'there'}"
            elif where.startswith("axes") and name == "values":
                if there[name] != here[name]:
                    yield f"the values of axis {here['name']} differ"
            else:
                yield from _differences(there[name], here[name], place)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for place, (one, other) in enumerate(zip(there, here, strict=True)):
            yield from _differences(one, other, f"{where}[{place}]")
    elif there != here:
        yield f"{where} is {_short(there)} there and {_short(here)} here"


def _short(entry: Any) -> str:
    text = json.dumps(_named(entry))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _named(entry: Any) -> Any:
    """An entry with the names of axes and columns instead of all that is said of them."""
    if isinstance(entry, list):
        return [_named(one) for one in entry]
    return entry.get("name", entry) if isinstance(entry, dict) else entry


def _fingerprint(entries: Manifest) -> str:
    return digest(json.dumps(entries, sort_keys=True, allow_nan=False).encode())


def _digest_of_values(values: NDArray[Any]) -> str:
    if values.dtype == object:
        return digest(json.dumps(values.tolist()).encode())
    return digest(str(values.dtype).encode() + np.ascontiguousarray(values).tobytes())
