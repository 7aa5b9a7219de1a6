"""Which chunks of a directory are finished, and whose turn it is to write there."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Self

from symcost.errors import InputError

_REMEDY = "nothing was changed; remove the directory to begin anew"


class Journal:
    """Which chunks are finished, with digests of their files.

    It is an SQLite database: an entry holds or is not there, even after kill -9 or a power failure,
    and while the journal is open the kernel keeps all others from opening it.

    Parameters
    ----------
    path : Path
        The database.

    Raises
    ------
    InputError
        Another process has it open, or it is no journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists() or not path.stat().st_size:  # SQLite would make one
            raise InputError(f"{path} is missing or empty; {_REMEDY}")
        self._database = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("BEGIN EXCLUSIVE")
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._database.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise InputError(f"{path.parent} is being written by another process") from None
            raise self._broken(error) from None

    @staticmethod
    def create(path: Path) -> None:
        """Make an empty one."""
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE finished (chunk INTEGER PRIMARY KEY, digests TEXT NOT NULL)")
        database.close()

    def entries(self) -> dict[int, list[str]]:
        """Digests of the files of each finished chunk."""
        try:
            rows = self._database.execute("SELECT chunk, digests FROM finished").fetchall()
            return {int(chunk): str(digests).split() for chunk, digests in rows}
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def add(self, chunk: int, digests: list[str]) -> None:
        """Record that a chunk is finished; on return it is on the disk."""
        try:
            entry = (chunk, " ".join(digests))
            self._database.execute("INSERT INTO finished VALUES (?, ?)", entry)
        except sqlite3.OperationalError as error:
            raise InputError(f"{self._path} cannot be written: {error}") from None

    def _broken(self, error: Exception) -> InputError:
        return InputError(f"{self._path} cannot be used ({error}); {_REMEDY}")

    def close(self) -> None:
        """Let others open it."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
