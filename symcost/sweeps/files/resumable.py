"""Directories that a sweep writes chunk by chunk, and goes on with after an interruption."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

from symcost.errors import InputError
from symcost.sweeps.block import Block
from symcost.sweeps.files import manifest as manifests
from symcost.sweeps.files.aside import aside_of, final_name, put, writing
from symcost.sweeps.files.description import Description
from symcost.sweeps.files.journal import Journal
from symcost.sweeps.files.manifest import MANIFEST, Manifest

JOURNAL = "_symcost.sqlite"
_REMEDY = "nothing was changed; --overwrite begins anew"
_OWN = (MANIFEST, JOURNAL, f"{JOURNAL}-journal")


class Layout(Protocol):
    """How the chunks of a sweep become files."""

    @property
    def kind(self) -> str:
        """What the manifest calls it."""

    @property
    def fixed(self) -> Mapping[str, bytes]:
        """Files that are there before the first chunk."""

    def names(self, chunk: int) -> Sequence[str]:
        """The files of a chunk, relative to the directory."""

    def encoded(self, block: Block) -> Iterable[bytes]:
        """The contents of these files, one after another."""

    @staticmethod
    def owns(name: str, manifest: Manifest) -> bool:
        """Whether a sweep could have written a file of that name."""


class Directory:
    """A directory that is being written.

    A file is written aside, brought to the disk and renamed; when all files of a chunk are there,
    the journal says so. Whatever else an interruption leaves behind is overwritten.
    """

    def __init__(self, path: Path, layout: Layout, journal: Journal) -> None:
        self._path = path
        self._layout = layout
        self._journal = journal
        self.finished = frozenset(journal.entries())

    def write(self, index: int, block: Block) -> None:
        """Write a chunk."""
        names = self._layout.names(index)
        with writing(self._path):
            digests = []
            for name, content in zip(names, self._layout.encoded(block), strict=True):
                put(self._path / name, content)
                digests.append(manifests.digest(content))
            self._journal.add(index, digests)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._journal.close()


def open_directory(
    path: Path, what: Description, layout: Layout, *, resume: bool, overwrite: bool
) -> Directory:
    """Begin a directory, go on with one, or replace one.

    Raises
    ------
    InputError
        What is there is not ours, is damaged, holds another sweep or is being written; nothing was
        changed then.
    """
    manifest = manifests.manifest_of(what, layout.kind)
    if not path.exists():
        with writing(path), _made_aside(path, layout, manifest) as fresh:
            fresh.rename(path)
        return _opened(path, layout, len(what.boxes))
    if not resume and not overwrite:
        raise InputError(f"{path} exists; allowed: to resume it, or to overwrite it")
    there = _ours(path, layout)
    if overwrite:
        with Journal(path / JOURNAL), writing(path), _made_aside(path, layout, manifest) as fresh:
            old = path.rename(aside_of(path))
            fresh.rename(path)
        shutil.rmtree(old)
    elif differs := manifests.difference(there, manifest):
        raise InputError(f"{path} holds another sweep: {differs}; {_REMEDY}")
    return _opened(path, layout, len(what.boxes))


@contextmanager
def _made_aside(path: Path, layout: Layout, manifest: Manifest) -> Iterator[Path]:
    """A whole directory without chunks, which takes its place by one renaming."""
    aside = aside_of(path)
    try:
        aside.mkdir(parents=True)
        for name, content in {**layout.fixed, MANIFEST: manifests.write(manifest)}.items():
            put(aside / name, content)
        Journal.create(aside / JOURNAL)
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _ours(path: Path, layout: Layout) -> Manifest:
    """The manifest of a directory in which all is ours."""
    try:
        manifest = manifests.read((path / MANIFEST).read_bytes())
        _require_ours(path, layout, manifest)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is no output of a sweep ({error}); nothing was changed; name another place, "
            "or remove it"
        ) from None
    return manifest


def _require_ours(path: Path, layout: Layout, manifest: Manifest) -> None:
    if manifest["kind"] != layout.kind:
        raise ValueError(f"it holds {manifest['kind']}")
    for place in sorted(path.rglob("*")):
        name = place.relative_to(path).as_posix()
        if place.is_dir() and not place.is_symlink():
            continue
        whole = final_name(name)
        if place.is_symlink() or not (whole in _OWN or layout.owns(whole, manifest)):
            raise ValueError(f"{name} is none of its files")


def _opened(path: Path, layout: Layout, chunks: int) -> Directory:
    """A directory whose files are as they were written."""
    journal = Journal(path / JOURNAL)
    try:
        for name, digest in _written(path, layout, journal, chunks):
            _require(path / name, digest)
        return Directory(path, layout, journal)
    except BaseException:
        journal.close()
        raise


def _written(
    path: Path, layout: Layout, journal: Journal, chunks: int
) -> Iterator[tuple[str, str]]:
    """The files that must be there, and their digests."""
    for name, content in layout.fixed.items():
        yield name, manifests.digest(content)
    for chunk, digests in journal.entries().items():
        names = layout.names(chunk) if 0 <= chunk < chunks else ()
        if not names or len(names) != len(digests):
            raise InputError(f"{path / JOURNAL} tells of no chunk {chunk}; {_REMEDY}")
        yield from zip(names, digests, strict=True)


def _require(path: Path, digest: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {_REMEDY}") from None
    if found != digest:
        raise InputError(f"{path} is not as it was written; {_REMEDY}")
