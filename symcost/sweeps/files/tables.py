"""Tables of scattered points, as a user gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.sweeps.files.description import library

_INTEGER = "^-?[0-9]+$"
_NUMBER = r"^[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|(?i:inf|infinity|nan))$"


def read_table(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of a table, FILE.csv or FILE.parquet: integers as int64, or texts.

    A column of CSV in which all values are numbers is one of integers.

    Raises
    ------
    InputError
        It cannot be read, or a value is missing, is a number but no integer, or is beyond int64.
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
    numerals = path.suffix == ".csv"
    return {name: _column(f"{path}: column {name!r}", table[name], numerals) for name in names}


def _read_csv(path: Path) -> Any:
    """All columns as texts: Arrow would guess at dates, and make floats of large integers."""
    csv = library("pyarrow.csv")
    with csv.open_csv(path) as reader:
        texts = dict.fromkeys(reader.schema.names, library("pyarrow").string())
    return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=texts))


def _read_parquet(path: Path) -> Any:
    return library("pyarrow.parquet").read_table(path)


def _column(where: str, values: Any, numerals: bool) -> NDArray[Any]:
    pa, pc = library("pyarrow"), library("pyarrow.compute")
    types = pa.types
    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    _refuse(where, values, pc.is_null(values))
    if types.is_string(values.type) or types.is_large_string(values.type):
        _refuse(where, values, pc.equal(values, ""))
        if not (numerals and pc.all(pc.match_substring_regex(values, _NUMBER)).as_py()):
            return np.array(values.to_pylist(), np.str_)
        _refuse(where, values, pc.invert(pc.match_substring_regex(values, _INTEGER)))
    elif not types.is_integer(values.type):
        _refuse(where, values, pc.is_valid(values))
    try:
        numbers = values.cast(pa.int64())
    except pa.ArrowInvalid:
        beyond = [not -(2**63) <= int(value) < 2**63 for value in values.to_pylist()]
        _refuse(where, values, pa.array(beyond))
        raise
    return np.asarray(numbers.to_numpy())


def _refuse(where: str, values: Any, wrong: Any) -> None:
    """Name the first value that is wrong, if one is."""
    row = library("pyarrow.compute").index(wrong, value=True).as_py()
    if row >= 0:
        raise InputError(
            f"{where}, row {row + 1}: {values[row].as_py()!r}; allowed: integers of 64 bits, texts"
        )
