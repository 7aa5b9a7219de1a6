"""Module paths. Equal layers stand together, as in `layers.0-1,3`, and can be told apart again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

_NUMBERS = re.compile(r"(?<=\blayers\.)[\d,-]+")


def indexes(numbers: list[int]) -> str:
    """Layer numbers as a path shows them: 0-1,3-4,6."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@cache
def expanded(path: str) -> tuple[str, ...]:
    """The paths that one with layer numbers stands for: layers.0-1,3 is 0, 1 and 3."""
    numbers = _NUMBERS.search(path)
    if numbers is None:
        return (path,)
    before, after = path[: numbers.start()], path[numbers.end() :]
    single: list[str] = []
    for run in numbers.group().split(","):
        first, _, last = run.partition("-")
        single += [f"{before}{i}{after}" for i in range(int(first), int(last or first) + 1)]
    return tuple(single)


def enclosing(path: str) -> Iterator[str]:
    """A path and all modules around it, from the root, whose path is empty, inwards."""
    yield ""
    for i, letter in enumerate(path):
        if letter == ".":
            yield path[:i]
    if path:
        yield path


def called(path: str) -> Iterator[str]:
    """A path and the modules around it that are called, from the root inwards.

    A list of modules, whose next name is a number, is not called.
    """
    for module in enclosing(path):
        if not path[len(module) :].lstrip(".")[:1].isdigit():
            yield module
