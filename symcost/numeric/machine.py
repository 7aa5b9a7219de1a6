"""Machine code of a program: its steps as Python statements, which numba compiles.

The code trusts its input: that nothing overflows is shown before, by `Program.bounds`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from symcost.numeric.program import Op, Program

SMALL_QUOTIENT = 1 << 52
"""Floats round down the quotients of whole numbers below it correctly."""

_PIECE = 1024
"""Points of a row that are computed together; they stay in the processor's first cache."""

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_compiled: Any = numba.njit(**_OPTIONS)


def scalar(program: Program) -> Any:
    """A function of an array of the greatest value of each size, and of the sizes as integers.

    It returns whether sizes lie in their domains and are no greater, and the figures, which mean
    something only then.
    """
    names = [f"r{row}" for row in range(len(program.sizes))]
    inside = [
        f"({size.minimum} <= {name}) & ({name} <= most[{i}]) & ({name} % {size.multiple_of} == 0)"
        for i, (name, size) in enumerate(zip(names, program.sizes, strict=True))
    ]
    figures = [" & ".join(inside) or "True", *(f"r{row}" for row in program.results)]
    source = [
        f"def figures({', '.join(['most', *names])}):",
        *_indented(1, _statements(program, "int64")),
        f"    return ({', '.join(figures)})",
    ]
    # An integer beyond int64 is an OverflowError.
    return _undispatched(_function(source, program), numba.int64[::1], *[numba.int64] * len(names))


def points(program: Program, number: str) -> Any:
    """A function of sizes (sizes × points) that writes figures (figures × points).

    Parameters
    ----------
    number : {"int64", "float64"}
        What is computed in.
    """
    inputs, outputs = range(len(program.sizes)), range(len(program.results))
    source = [
        "def figures(sizes, out):",
        *(f"    x{i} = sizes[{i}]" for i in inputs),
        *(f"    y{i} = out[{i}]" for i in outputs),
        "    for j in range(sizes.shape[1]):",
        *(f"        r{i} = x{i}[j]" for i in inputs),
        *_indented(2, _statements(program, number)),
        *(f"        y{i}[j] = r{program.results[i]}" for i in outputs),
    ]
    return _compiled(_function(source, program))


def _indented(depth: int, lines: list[str]) -> list[str]:
    return ["    " * depth + line for line in lines]


def _statements(program: Program, number: str) -> list[str]:
    one = len(program.sizes)
    lines = [f"r{one} = {number}(1)"]
    for row, (op, a, b) in enumerate(program.steps, start=one + 1):
        if op is Op.SUM:
            parts = (
                f"{times} * r{of}" if of != one else str(times) for of, times in program.terms[a:b]
            )
            value = " + ".join(parts) or f"{number}(0)"
        else:
            value = _STATEMENTS[op].format(a=a, b=b, number=number)
        lines.append(f"r{row} = {value}")
    return lines


_STATEMENTS = {
    Op.PRODUCT: "r{a} * r{b}",
    Op.FLOOR: "{number}(floor(r{a} / {b}))",
    Op.QUOTIENT: "r{a} // {b}",
    Op.LEAST: "min(r{a}, r{b})",
    Op.GREATEST: "max(r{a}, r{b})",
    Op.MAGNITUDE: "abs(r{a})",
    Op.LOOKUP: "{number}(tables[int64(r{a}) + {b}])",
}


def _function(source: list[str], program: Program) -> Any:
    """What the statements say. They are made of row numbers and integers only."""
    known: dict[str, Any] = {
        "floor": np.floor,
        "int64": np.int64,
        "float64": np.float64,
        "tables": np.array(program.tables, np.int64),
    }
    exec("\n".join(source), known)  # noqa: S102 - nothing of it comes from a user
    return known["figures"]


def _undispatched(function: Any, *types: Any) -> Any:
    """Machine code for one signature, without numba's choice by type, which the caller makes."""
    compiled: Any = numba.njit(types, **_OPTIONS)(function)
    (result,) = compiled.overloads.values()
    return result.entry_point


@_compiled  # type: ignore[untyped-decorator]
def largest_product(
    outer: NDArray[Any], inner: NDArray[Any], ends: NDArray[np.int64], out: NDArray[Any]
) -> None:
    """The largest of several matrix products, element by element.

    Columns of `outer` (outer points × k) and rows of `inner` (k × inner points) up to each of the
    ends make a product. Along one outer point most products are below another everywhere, and are
    left out.
    """
    other = np.empty(_PIECE, out.dtype)
    low, high = np.empty(len(ends), out.dtype), np.empty(len(ends), out.dtype)
    least, most = np.empty(len(inner), out.dtype), np.empty(len(inner), out.dtype)
    for k in range(len(inner)):
        least[k], most[k] = inner[k].min(), inner[k].max()
    for i in range(outer.shape[0]):
        begin = 0
        for product in range(len(ends)):
            low[product] = high[product] = 0
            for k in range(begin, ends[product]):
                one, two = outer[i, k] * least[k], outer[i, k] * most[k]
                low[product] += min(one, two)
                high[product] += max(one, two)
            begin = ends[product]
        floor = low.max()
        for start in range(0, inner.shape[1], _PIECE):
            count = min(_PIECE, inner.shape[1] - start)
            row = out[i, start : start + count]
            begin, first = 0, True
            for product in range(len(ends)):
                if high[product] >= floor:
                    value = row if first else other
                    value[:count] = 0
                    for k in range(begin, ends[product]):
                        number, values = outer[i, k], inner[k, start : start + count]
                        for j in range(count):
                            value[j] += number * values[j]
                    if not first:
                        for j in range(count):
                            row[j] = max(row[j], other[j])
                    first = False
                begin = ends[product]
