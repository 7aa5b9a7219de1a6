"""Tables of scattered points, as a user gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.sweeps.axes import TEXTS, require_known, shown
from symcost.sweeps.files.description import library

_INTEGER = "^-?[0-9]{1,19}$"


def read_table(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of a table, FILE.csv or FILE.parquet: int64 or texts, as axes of that name have.

    Raises
    ------
    InputError
        It cannot be read, a name is that of no axis, or a value is missing, is of another kind or
        is beyond int64.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise InputError(f"{path} is no table; allowed: FILE.csv, FILE.parquet")
    pa = library("pyarrow")
    try:
        table = readers[path.suffix](path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    names = table.column_names
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: two columns are called {name!r}; allowed: different names")
    if not table.num_rows:
        raise InputError(f"{path} has no rows; allowed: at least one")
    try:
        require_known(names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return {name: _column(f"{path}: column {name!r}", name, table[name]) for name in names}


def _read_csv(path: Path) -> Any:
    """All columns as texts: Arrow would guess at dates, and make floats of large integers."""
    csv = library("pyarrow.csv")
    with csv.open_csv(path) as reader:
        texts = dict.fromkeys(reader.schema.names, library("pyarrow").string())
    return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=texts))


def _read_parquet(path: Path) -> Any:
    return library("pyarrow.parquet").read_table(path)


def _column(where: str, name: str, values: Any) -> NDArray[Any]:
    pa, pc = library("pyarrow"), library("pyarrow.compute")
    types = pa.types
    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    every = pa.array([True])
    texts = types.is_string(values.type) or types.is_large_string(values.type)
    if name in TEXTS:
        wrong = pc.fill_null(pc.equal(values, ""), True) if texts else every
        _refuse(where, values, wrong, "texts")
        return np.array(values.to_pylist(), np.str_)
    if texts:
        wrong = pc.invert(pc.fill_null(pc.match_substring_regex(values, _INTEGER), False))
    else:
        wrong = pc.is_null(values) if types.is_integer(values.type) else every
    _refuse(where, values, wrong, "integers")
    try:
        numbers = values.cast(pa.int64())
    except pa.ArrowInvalid:
        beyond = [not -(2**63) <= int(value) < 2**63 for value in values.to_pylist()]
        _refuse(where, values, pa.array(beyond), "integers of 64 bits")
        raise
    return np.asarray(numbers.to_numpy())


def _refuse(where: str, values: Any, wrong: Any, allowed: str) -> None:
    """Name the first value that is wrong, if one is."""
    row = library("pyarrow.compute").index(wrong, value=True).as_py()
    if row >= 0:
        found = shown(values[row].as_py())
        raise InputError(f"{where}, row {row + 1}: {found}; allowed: {allowed}")
