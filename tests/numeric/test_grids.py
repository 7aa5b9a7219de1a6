"""Grids whose atoms mix axes in a part of them only: two parts, the same numbers."""

from unittest import mock

import numpy as np
import pytest
import sympy as sp

from symcost.numeric.compiled import Compiled
from symcost.numeric.evaluation import Evaluation
from symcost.symbols import B, I_g, K, S

CLAMPED = sp.Min(194, B * S) * I_g + 3 * B * S + sp.Min(50, K * B)


def by_hand(b, s, g, k):
    return np.minimum(194, b * s) * g + 3 * b * s + np.minimum(50, k * b)


def axes(order: str, *, shuffled: bool) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(7)
    values = {"B": np.arange(1, 31), "S": np.arange(1, 601), "I_g": 64 * np.arange(1, 13)}
    if shuffled:
        values["S"] = draw.permutation(values["S"])
    names = {"b": "B", "s": "S", "g": "I_g"}
    grid = np.ix_(*(values[names[letter]] for letter in order))
    return {names[letter]: axis for letter, axis in zip(order, grid, strict=True)}


@pytest.mark.parametrize("order", ["bsg", "bgs", "gbs", "sgb", "gsb", "sbg"])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("cached", [1, 60])
def test_every_point_is_the_same(order, shuffled, cached):
    sizes = axes(order, shuffled=shuffled)
    found = Compiled({"f": CLAMPED}, single=True)(**sizes, K=cached)
    np.testing.assert_array_equal(
        found, by_hand(sizes["B"], sizes["S"], sizes["I_g"], cached), strict=True
    )


def test_few_points_are_computed_one_by_one():
    apart = []
    whole = Evaluation._point_by_point

    def counted(self, sizes, found):
        apart.append(found[0].size)
        whole(self, sizes, found)

    function = Compiled({"f": CLAMPED}, single=True)
    sizes = axes("bgs", shuffled=False)
    with mock.patch.object(Evaluation, "_point_by_point", counted):
        found = function(**sizes, K=60)
        assert 0 < sum(apart) < found.size / 2
        apart.clear()
        # Where no axis settles them, all points go one by one.
        mixing = Compiled({"f": sp.Min(10**6, B * S) * I_g}, single=True)
        np.testing.assert_array_equal(
            mixing(**sizes), np.minimum(10**6, sizes["B"] * sizes["S"]) * sizes["I_g"]
        )
        assert sum(apart) == found.size
