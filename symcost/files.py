"""Files, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from symcost.errors import InputError


def write_all(contents: Mapping[Path, str | bytes]) -> None:
    """Write texts and bytes to files: all are written aside, then each takes its place at once.

    Links are followed, and what is no file, such as a terminal or a pipe, is written to.

    Raises
    ------
    InputError
        A file cannot be written; none has been changed then.
    """
    aside: dict[Path, Path] = {}
    try:
        for given, written in contents.items():
            content = written.encode() if isinstance(written, str) else written
            if given.exists() and not given.is_file() and not given.is_dir():
                given.write_bytes(content)
                continue
            path = given.resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a directory")
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            aside[path] = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
            aside[path].chmod(mode & 0o7777)
        for given, made in aside.items():
            made.replace(given)
    except OSError as error:
        raise InputError(f"{given} cannot be written: {error.strerror or error}") from None
    finally:
        for made in aside.values():
            made.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Raise where a file could not be written, before the work is done that it shall hold.

    Raises
    ------
    InputError
        It is a directory, or lies where nothing can be written.
    """
    place = path.resolve()
    above = next(folder for folder in place.parents if folder.exists())
    if place.is_dir() or not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(
            f"{path} cannot be written; name a file in a folder that can be written to"
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
