"""Axes of a sweep: names and the values that they take together, as given in Python or as text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError

NUMBERS = (
    "batch",
    "context_len",
    "prompt_tokens",
    "cached",
    "new_tokens",
    "base_size",
    "tile_size",
)
"""Names whose values are integers."""
TEXTS = ("mode", "image", "crop_grid", "reference", "execution", "lm_head", "width", "experts")
"""Names whose values are texts, written as on the command line."""
MOST_VALUES = 10**8
"""Values of one axis."""

Values: TypeAlias = Sequence[Any] | NDArray[Any]
Setting: TypeAlias = dict[str, Any]
"""One value of each name: integers and texts."""


@dataclass(frozen=True, eq=False)
class Column:
    """The values of one name along an axis.

    Parameters
    ----------
    numbers : array of int64
        The values; where they are texts, their places among the different ones.
    texts : array of str, optional
        The different texts, in order of appearance.
    """

    numbers: NDArray[np.int64]
    texts: NDArray[np.str_] | None = None

    def at(self, positions: slice | NDArray[Any]) -> NDArray[Any]:
        """The values at some positions, integers or texts."""
        numbers = self.numbers[positions]
        return numbers if self.texts is None else self.texts[numbers]

    @property
    def first(self) -> int | str:
        """The first value."""
        value: int | str = self.at(slice(1)).item()
        return value

    def distinct(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The different values, and the place of each position's value among them."""
        if self.texts is not None:
            return self.texts, self.numbers
        return np.unique(self.numbers, return_inverse=True)


@dataclass(frozen=True, eq=False)
class Axis:
    """One or more names with values of equal length; a sweep is the product of its axes.

    An axis of one name is a side of a grid. One of several names has them change together: zipped
    lists. A table of scattered points is an axis, too.

    Parameters
    ----------
    columns : mapping of str to Column
        The values by name.
    """

    columns: Mapping[str, Column]

    def __post_init__(self) -> None:
        lengths = {name: len(column.numbers) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            told = ", ".join(f"{length} of {name}" for name, length in lengths.items())
            raise InputError(f"an axis has values of {told or 'no name'}; allowed: equally many")
        if not len(self):
            raise InputError(f"axis {self.name} has no values; allowed: at least one")

    @property
    def names(self) -> tuple[str, ...]:
        """The names whose values it sets."""
        return tuple(self.columns)

    @property
    def name(self) -> str:
        """All of its names."""
        return ",".join(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).numbers)

    @classmethod
    def of(cls, names: str | tuple[str, ...], values: Values) -> Axis:
        """An axis of one name and its values, or of several names and a tuple for each position."""
        if not isinstance(names, tuple):
            axis = cls.table({names: values})
            _refuse_repeated(names, axis.columns[names])
            return axis
        require_known(names)
        name = ",".join(names)
        rows = _sequence(name, values, dimensions=2)
        lengths = {len(row) if isinstance(row, tuple | list | np.ndarray) else 0 for row in rows}
        if lengths - {len(names)}:
            raise InputError(f"{name} has other values; allowed: {len(names)} at each position")
        if isinstance(rows, np.ndarray):
            columns: list[Values] = list(rows.T)
        else:
            columns = [[row[at] for row in rows] for at in range(len(names))]
        return cls.table(dict(zip(names, columns, strict=True)))

    @classmethod
    def table(cls, columns: Mapping[str, Values]) -> Axis:
        """An axis of points, whose values are given name by name; points may be alike."""
        require_known(columns)
        return cls({name: _column(name, values) for name, values in columns.items()})

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Read `batch=1,2,4`, `batch=1:256:*2`, `mode=base,gundam`, `batch,cached=1,500;2,900`.

        A range ends at its second number or before, and goes in steps of one unless `+STEP` or
        `*FACTOR` follows. Values are separated by commas, or by semicolons where they hold commas
        or equals signs themselves: `width=kv=2;kv=1,weights=1/2`.
        """
        left, equals, right = text.partition("=")
        names = tuple(left.split(","))
        if not equals:
            raise InputError(f"axis {text!r} has no values; allowed: NAME=VALUES, as in batch=1,2")
        require_known(names)
        if len(names) > 1:
            rows = [row.split(",", len(names) - 1) for row in right.split(";")]
            if any(len(row) < len(names) for row in rows):
                raise InputError(
                    f"axis {left} is {right!r}; allowed: {len(names)} values at each position, "
                    "such as batch,cached=1,500;2,900"
                )
            return cls.of(names, [tuple(map(_value, names, row)) for row in rows])
        if left in NUMBERS and ":" in right:
            return cls.of(left, _range(left, right))
        separator = ";" if ";" in right or "=" in right else ","
        return cls.of(left, [_value(left, value) for value in right.split(separator)])

    def distinct(self, names: Sequence[str]) -> tuple[list[Setting], NDArray[np.int64]]:
        """The different values of some of its names, and the place of each position among them."""
        _, places = self.columns[names[0]].distinct()
        for name in names[1:]:
            values, codes = self.columns[name].distinct()
            _, places = np.unique(places * len(values) + codes, return_inverse=True)
        example = np.zeros(int(places.max()) + 1, np.int64)
        example[places] = np.arange(len(self))
        settings = zip(*(self.columns[name].at(example).tolist() for name in names), strict=True)
        return [dict(zip(names, setting, strict=True)) for setting in settings], places


Axes: TypeAlias = Mapping[Any, Values] | Sequence[Axis]
"""Values by name, or by a tuple of names that change together; or axes."""


def axes_of(given: Axes) -> tuple[Axis, ...]:
    """The axes of a sweep, from values by name or by names, or from axes.

    Raises
    ------
    InputError
        A name is unknown or occurs twice, or values are none that its name takes.
    """
    if isinstance(given, Mapping):
        axes = tuple(Axis.of(names, values) for names, values in given.items())
    else:
        axes = tuple(given)
        if not all(isinstance(axis, Axis) for axis in axes):
            raise InputError(
                f"axes are {shown(given)}; allowed: values by name, such as {{'batch': [1, 2]}}, "
                "or a list of Axis.parse('batch=1,2')"
            )
    seen: set[str] = set()
    for name in (name for axis in axes for name in axis.names):
        if name in seen:
            raise InputError(f"{name} is set by two axes; allowed: each name once")
        seen.add(name)
    return axes


_INTEGER = re.compile(r"-?[0-9]{1,18}")
_RANGE = re.compile(r"(-?[0-9]{1,18}):(-?[0-9]{1,18})(?::([+*])([0-9]{1,18}))?")
_SHOWN = 60
"""Signs of what a user gave that a message repeats."""


def _value(name: str, text: str) -> int | str:
    if name in TEXTS:
        return text
    if not _INTEGER.fullmatch(text):
        raise InputError(
            f"{name} holds {text[:_SHOWN]!r}; allowed: integers of up to 18 digits, or a "
            "range FIRST:LAST, FIRST:LAST:+STEP or FIRST:LAST:*FACTOR"
        )
    return int(text)


def _range(name: str, text: str) -> Values:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise InputError(
            f"{name} is {text[:_SHOWN]!r}; allowed: FIRST:LAST, FIRST:LAST:+STEP or "
            "FIRST:LAST:*FACTOR, in integers of up to 18 digits"
        )
    first, last, step = int(found[1]), int(found[2]), int(found[4] or 1)
    grows = found[3] == "*"
    if last < first or step < (2 if grows else 1) or (grows and first < 1):
        raise InputError(
            f"{name} is {text!r}; allowed: a last value that is not below the first, and a "
            "step of at least 1, or a factor of at least 2 behind a positive first value"
        )
    if not grows:
        return range(first, last + 1, step)
    values = [first]
    while values[-1] * step <= last:
        values.append(values[-1] * step)
    return values


def shown(value: object) -> str:
    """What a user gave, as a message repeats it."""
    plain = value.item() if isinstance(value, np.generic) else value
    return " ".join(repr(plain)[:_SHOWN].split())


def require_known(names: Collection[object]) -> None:
    """Refuse names of which one is that of no axis, or occurs twice."""
    for name in names:
        if name not in NUMBERS + TEXTS:
            raise InputError(
                f"axis {shown(name)} is unknown; allowed: {', '.join(NUMBERS + TEXTS)}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"an axis has a name twice in {', '.join(map(str, names))}; allowed: once")


def _sequence(name: str, values: Values, dimensions: int = 1) -> Values:
    if hasattr(values, "__array__"):
        values = np.asarray(values)
    whole = isinstance(values, Sequence) and not isinstance(values, str)
    if not (values.ndim == dimensions if isinstance(values, np.ndarray) else whole):
        raise InputError(f"{name} is {shown(values)}; allowed: a sequence of values")
    if len(values) > MOST_VALUES:
        raise InputError(f"{name} has {len(values)} values; allowed: at most {MOST_VALUES}")
    return values


def _column(name: str, given: Values) -> Column:
    values = _sequence(name, given)
    if name in TEXTS:
        return _texts(name, values)
    try:
        return Column(_integers(name, values))
    except OverflowError:
        raise InputError(f"{name} goes beyond int64; allowed: integers below 2^63") from None


def _texts(name: str, values: Values) -> Column:
    known: dict[str, int] = {}
    for value in values:
        if not isinstance(value, str):
            raise InputError(f"{name} holds {shown(value)}; allowed: texts")
        known.setdefault(str(value), len(known))
    places = np.fromiter((known[str(value)] for value in values), np.int64, len(values))
    return Column(places, np.array(list(known), np.str_))


def _integers(name: str, values: Values) -> NDArray[np.int64]:
    if isinstance(values, range):
        return np.arange(values.start, values.stop, values.step, dtype=np.int64)
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        if values.size and int(values.max()) > np.iinfo(np.int64).max:
            raise OverflowError
        return values.astype(np.int64, copy=False)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise InputError(f"{name} holds {shown(value)}; allowed: integers")
    return np.array(values, np.int64)


def _refuse_repeated(name: str, column: Column) -> None:
    numbers, counts = np.unique(column.numbers, return_counts=True)
    if counts.max() > 1:
        repeated = Column(numbers[counts > 1], column.texts).at(slice(1)).item()
        raise InputError(f"{name} has {repeated!r} more than once; allowed: different values")
