"""Writing aside: a file or a directory is whole when it takes its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from symcost.errors import InputError

_PARTIAL = ".partial"


def aside_of(path: Path) -> Path:
    """A new name beside a path."""
    return path.with_name(f".{path.name}.{uuid4().hex}")


def put(path: Path, content: bytes) -> None:
    """Write a file aside, and rename it when it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}{_PARTIAL}")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def final_name(name: str) -> str:
    """What `put` would rename a file to: its own name where it does not write aside."""
    folder, slash, base = name.rpartition("/")
    if base.startswith(".") and base.endswith(_PARTIAL):
        base = base[1:].removesuffix(_PARTIAL)
    return folder + slash + base


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell what the system refuses while a path is being written."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from None
