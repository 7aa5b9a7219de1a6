"""What tests of compiled figures share: exact values, formulas by chance, and loops by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import product
from typing import Any
from unittest import mock

import numpy as np
import sympy as sp

from symcost.exact import Evaluator
from symcost.numeric import evaluation, machine
from symcost.symbols import CATALOGUE, B, I_g, K, S, T, n_w

NAMES = ("B", "S", "K", "T", "I_g", "n_w")
STEPS = {"I_g": 64}
LEAST = {"K": 0, "n_w": 0}


def exactly(formula: sp.Expr, **sizes: Any) -> int | Fraction:
    """The value of a formula, from the evaluator in Python numbers."""
    return Evaluator({CATALOGUE[n].symbol: value for n, value in sizes.items()})(formula)


def exact_array(formula: sp.Expr, shape: tuple[int, ...], sizes: Mapping[str, Any]) -> np.ndarray:
    """The values at all points of arrays that broadcast, point by point."""
    spread = {
        name: np.broadcast_to(np.array(value, object), shape) for name, value in sizes.items()
    }
    found = np.empty(shape, object)
    for place in np.ndindex(shape):
        point = {name: array[place] for name, array in spread.items()}
        found[place] = exactly(formula, **{n: _python(v) for n, v in point.items()})
    return found


def _python(value: Any) -> Any:
    return int(value) if isinstance(value, np.integer) else value


def assert_exact(found: Any, expected: np.ndarray) -> None:
    """The same values, to the last digit, whatever the type."""
    assert np.shape(found) == expected.shape
    flat = np.asarray(found).reshape(-1).tolist()
    assert [Fraction(value) for value in flat] == [Fraction(v) for v in expected.reshape(-1)]


def by_chance(choose: Callable[[Sequence[Any]], Any], depth: int) -> sp.Expr:
    """A formula of everything that formulas consist of."""
    if depth == 0 or choose(range(6)) == 0:
        number = sp.Rational(choose([-9, -4, -1, 1, 2, 3, 5, 64, 1000]), choose([1, 1, 2, 3, 7]))
        return choose([B, S, K, T, I_g, n_w, B * S, I_g * n_w, number, number])

    def part() -> sp.Expr:
        return by_chance(choose, depth - 1)

    kind = choose(["sum", "sum", "difference", "product", "power", "floor", "ceiling", *EXTREMES])
    if kind in EXTREMES:
        parts = [part() for _ in range(1 if kind == "Abs" else choose([2, 2, 3]))]
        return getattr(sp, kind)(*parts)
    makers = {
        "sum": lambda: choose([1, 2, 3, sp.Rational(5, 7)]) * part() + part(),
        "difference": lambda: part() - choose([1, 2, 5, sp.Rational(1, 2)]) * part(),
        "product": lambda: part() * part(),
        "power": lambda: part() ** choose([2, 2, 3]),
        "floor": lambda: sp.floor(part() / choose([1, 2, 3, 7, 12, 224])),
        "ceiling": lambda: sp.ceiling(part() / choose([1, 2, 3, 7, 12, 224])),
    }
    return makers[kind]()


EXTREMES = ("Min", "Max", "Abs")


def _no_compiler(*_: Any, **__: Any) -> Callable[[Any], Any]:
    return lambda function: function


@contextmanager
def loops(*, few: int = 0, machine_code: bool = True):
    """Arrays of more than a few points take the loops of large ones; without machine code they
    are the same statements in Python, where nothing wraps unnoticed."""
    patches = [mock.patch.object(evaluation, "_FEW", few)]
    if not machine_code:
        patches += [
            mock.patch.object(machine, "_undispatched", lambda function, *_: function),
            mock.patch.object(machine, "_compiled", _no_compiler()),
        ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def points_of(sizes: Mapping[str, np.ndarray]) -> list[dict[str, int]]:
    """All combinations of values."""
    columns = [[int(v) for v in np.ravel(values)] for values in sizes.values()]
    return [dict(zip(sizes, values, strict=True)) for values in product(*columns)]
