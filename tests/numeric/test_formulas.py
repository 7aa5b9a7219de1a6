"""Formulas of all sorts: every way to compute a figure gives what Python's integers give."""

from __future__ import annotations

import random
from functools import cache
from itertools import permutations
from threading import Thread

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symcost.numeric.compiled import Compiled
from symcost.symbols import B, I_g, K, S, T, n_w
from tests.numeric.support import (
    LEAST,
    NAMES,
    STEPS,
    assert_exact,
    by_chance,
    exact_array,
    exactly,
    loops,
    points_of,
)

BY_HAND = {
    "floor of a negative": sp.floor((B - S) / 7) * 3 - sp.floor((K - 2 * T) / 2),
    "ceiling of a negative": sp.ceiling((B - S) / 7) - sp.ceiling((K - 3 * T) / 3),
    "nested": sp.floor((sp.ceiling(S / 3) + sp.Min(B, sp.Max(K, sp.floor(T / 2)) - 3)) / 7),
    "halves": B * (B - 1) / 2 + S / 2,
    "thirds": B * (B + 1) * (2 * B + 1) / 6 - K / 3,
    "sevenths in one": sp.Max(B / 7, S / 3 - K / 2, sp.Rational(5, 2)),
    "magnitudes": sp.Abs(B - S) * sp.Abs(K - sp.Rational(1, 2) * T) - sp.Abs(sp.Abs(B - 5) - S),
    "product of maxima": sp.Max(B, S - 3) * sp.Max(K, T) * (sp.Max(B, S - 3) - 1) + 1,
    "maximum of sums": sp.Max(B * S - K, 3 * T * S, 7 * B + sp.Max(0, K - T)) + 5 * B - 9,
    "maximum, subtracted": 10 - sp.Max(B * S, K * T, 12),
    "windows": sp.ceiling(I_g / 224) ** 2 * 196 * B - (I_g / 16) ** 2,
    "no crops": sp.Min(1, n_w * K) * (B + S) + sp.floor(n_w / 2) * T,
    "powers": (B - S) ** 3 + (K - T) ** 4 / 2,
    "zero": 0 * B + (B - S) - (B - S),
    "cancelling": 10**17 * B * S - 10**17 * B * S + B * 10**18 - K * (10**18 - 1),
}
SMALL = {name: LEAST.get(name, 1) + STEPS.get(name, 1) * np.array([0, 1, 2, 6]) for name in NAMES}
SMALL["I_g"] = np.array([64, 192, 256, 1024])


def check(formula: sp.Expr, axes: dict[str, np.ndarray]) -> None:
    """Every way to compute a figure, on the grid of axes and along its diagonal."""
    figure = Compiled({"figure": formula}, single=True)
    assert set(figure.names) <= set(axes)
    count = len(axes)
    grid = {
        name: values.reshape([-1 if at == axis else 1 for at in range(count)])
        for axis, (name, values) in enumerate(axes.items())
    }
    shape = tuple(len(values) for values in axes.values())
    expected = exact_array(formula, shape, grid)
    assert_exact(figure(**grid), expected)
    longest = max(shape)
    diagonal = {name: np.resize(values, longest) for name, values in axes.items()}
    along = exact_array(formula, (longest,), diagonal)
    assert_exact(figure(**diagonal), along)
    with loops(machine_code=False), np.errstate(invalid="ignore"):
        assert_exact(figure(**grid), expected)
        assert_exact(figure(**diagonal), along)
        # Points beyond what is known to be safe may wrap; their figures are not used.
        with np.errstate(over="ignore"):
            at_points = [figure(**p) for p in points_of(grid)]
    assert_exact(np.array(at_points, object).reshape(shape), expected)


def axes_for(formula: sp.Expr, values: dict[str, list[int]]) -> dict[str, np.ndarray]:
    names = sorted(map(str, formula.free_symbols)) or ["B"]
    return {name: np.array(values[name]) for name in names}


@pytest.mark.parametrize("name", BY_HAND)
def test_formulas_by_hand(name):
    formula = BY_HAND[name]
    check(formula, {n: v[:3] for n, v in axes_for(formula, SMALL).items()})


LARGEST = 2**24
sizes = st.one_of(st.integers(0, 9), st.integers(0, LARGEST), st.sampled_from([2**20, 2**63 - 200]))


@st.composite
def cases(draw):
    formula = by_chance(
        lambda options: draw(st.sampled_from(list(options))), draw(st.integers(1, 3))
    )
    # Lengths differ, so that an axis cannot be taken for another.
    axes = {}
    for length, name in enumerate(sorted(map(str, formula.free_symbols)) or ["B"], start=1):
        count = min(length, 3) if length < 4 else 1
        step = STEPS.get(name, 1)
        values = draw(st.lists(sizes, min_size=count, max_size=count))
        axes[name] = np.array([max(v // step, LEAST.get(name, 1)) * step for v in values], object)
    return formula, axes


@settings(max_examples=60)
@given(cases())
def test_formulas_by_chance(case):
    check(*case)


@cache
def pool() -> tuple[dict[str, sp.Expr], Compiled]:
    """Many formulas in machine code that is made once."""
    chance = random.Random(20)
    formulas: dict[str, sp.Expr] = {}
    while len(formulas) < 25:
        formula = by_chance(chance.choice, 2)
        # Whole numbers, so that scalars take the fast way.
        formulas[f"figure {len(formulas)}"] = sp.floor(formula) + B - sp.floor((S - K) / 3)
    return formulas, Compiled(formulas)


def test_machine_code_of_points():
    formulas, figures = pool()
    chance = np.random.default_rng(3)
    for largest in (3, 50, 2000, 2**31, 2**62):
        for _ in range(3):
            point = {
                n: int(chance.integers(LEAST.get(n, 1), largest // STEPS.get(n, 1) + 2))
                for n in NAMES
            }
            point = {n: v * STEPS.get(n, 1) for n, v in point.items()}
            found = figures(**{name: point[name] for name in figures.names})
            assert found == {n: exactly(f, **point) for n, f in formulas.items()}
            assert all(type(value) is int for value in found.values())


def test_machine_code_of_arrays_and_grids():
    formulas, figures = pool()
    chance = np.random.default_rng(4)
    sides = {n: chance.integers(LEAST.get(n, 1), 300, 4) * STEPS.get(n, 1) for n in NAMES}
    with loops():
        found = figures(**{n: sides[n] for n in figures.names})
        for name, formula in formulas.items():
            assert found[name].dtype == np.int64
            assert_exact(found[name], exact_array(formula, (4,), sides))
        grid = {n: v if n != "B" else v[:3, None] for n, v in sides.items()}
        found = figures(**{n: grid[n] for n in figures.names})
        for name, formula in formulas.items():
            assert_exact(found[name], exact_array(formula, (3, 4), grid))


GRID = sp.Max(B * S * 3 - K * T, sp.floor((T - 7) / 3) * B, 5 * S) + B * sp.Min(K, 4)
FOUR = {"B": [1, 2, 9], "S": [1, 8], "K": [0, 3, 4, 5], "T": [3, 7, 8, 21, 90]}


@cache
def grid_figure() -> Compiled:
    return Compiled({"figure": GRID}, single=True)


class TestShapes:
    @pytest.mark.parametrize("order", list(permutations(range(4))))
    @pytest.mark.parametrize("few", [0, 1 << 13])
    def test_any_axis_is_inner_or_outer(self, order, few):
        shape = tuple(len(values) for values in FOUR.values())
        grid = {
            name: np.array(values).reshape([-1 if a == axis else 1 for a in range(4)])
            for axis, (name, values) in enumerate(FOUR.items())
        }
        expected = exact_array(GRID, shape, grid).transpose(order)
        turned = {name: values.transpose(order) for name, values in grid.items()}
        with loops(few=few):
            assert_exact(grid_figure()(**turned), expected)

    @pytest.mark.parametrize(
        "shapes",
        [
            {"B": (3,)},
            {"B": (3, 1), "S": (4,)},
            {"B": (1, 4), "S": (1, 1), "K": (5, 1)},
            {"B": (2, 1, 3), "K": (5, 1)},
            {"B": (2, 3), "S": (2, 3), "K": (3,), "T": (2, 1)},
            {"B": (), "S": (1,), "K": (1, 1)},
            {"B": (2, 1, 1, 1), "S": (3, 1, 1), "K": (4, 1), "T": (5,)},
            {"B": (2, 1, 1, 5), "S": (3, 1, 1), "K": (4, 1), "T": (2, 1, 4, 1)},
            {"B": (2, 1), "n_w": (3, 1, 4)},
            {"n_w": (7,)},
            {"S": (4,), "n_w": (3, 1), "n_h": (2, 1, 1)},
            {"S": (2, 1, 1), "n_w": (5, 1), "K": (3,)},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("few", [0, 1 << 13])
    def test_what_broadcasts(self, shapes, few):
        """Sizes that the figure does not depend on have a shape, too."""
        chance = np.random.default_rng(len(str(shapes)))
        given = {"B": 3, "S": 5, "K": 2, "T": 17}
        given |= {name: chance.integers(1, 50, shape) for name, shape in shapes.items()}
        shape = np.broadcast_shapes(*shapes.values())
        with loops(few=few):
            found = grid_figure()(**given)
        assert_exact(found, exact_array(GRID, shape, given))
        assert (type(found) is int) == (shape == ())

    @pytest.mark.parametrize(
        "dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">u8", object]
    )
    @pytest.mark.parametrize("few", [0, 1 << 13])
    def test_types_and_strides(self, dtype, few):
        base = np.arange(1, 121).reshape(4, 30).astype(dtype)
        expected_of = {"S": 100, "K": 3, "T": 8}
        read_only = base.copy()
        read_only.flags.writeable = False
        for view in (base, base[::-1, ::-2], base.T, base[:, ::7], base[2], read_only, base[:, :1]):
            before = base.copy()
            given = {"B": view, **expected_of}
            with loops(few=few):
                found = grid_figure()(**given)
            assert found.dtype == np.int64
            assert_exact(found, exact_array(GRID, view.shape, given))
            found[...] = -1
            assert (base == before).all()

    def test_small_types_do_not_limit_figures(self):
        figure = Compiled({"figure": 1000 * B * B + I_g}, single=True)
        assert figure(B=np.int8(127), I_g=np.uint8(192)) == 1000 * 127**2 + 192
        assert figure(B=np.array([127], "i1"), I_g=np.array([128], "u1")).tolist() == [16129128]

    def test_lists_ranges_and_scalars_of_numpy(self):
        figure = grid_figure()
        expected = exact_array(GRID, (3,), {"B": [1, 2, 3], "S": 4, "K": 5, "T": 6})
        for values in (
            [1, 2, 3],
            (1, 2, 3),
            range(1, 4),
            np.array([1, 2, 3], object),
            [np.int8(1), 2, 3],
        ):
            assert_exact(figure(B=values, S=4, K=5, T=6), expected)
        for kind in (np.int8, np.uint64, np.array):
            value = figure(B=kind(3), S=np.int16(4), K=np.array(5), T=6)
            assert value == expected[2]
            assert type(value) is int

    def test_lists_of_integers_beyond_int64(self):
        figure = Compiled({"figure": B * S - K}, single=True)
        for values in ([2**63, 1], [1, 2**64 - 1], [2**64, 1], [2**100, 2**53 + 1], [2**63 - 1]):
            found = figure(B=values, S=3, K=0)
            assert found.tolist() == [3 * value for value in values]


def test_a_figure_that_is_fractional_leaves_others_in_int64():
    both = Compiled({"third": B / 3, "half": B / 2, "whole": B * S})
    found = both(B=[1, 2, 3], S=5)
    assert {name: array.dtype.kind for name, array in found.items()} == {
        "third": "O",
        "half": "f",
        "whole": "i",
    }
    assert found["half"].tolist() == [0.5, 1, 1.5]


def test_threads_share_a_figure():
    """Growing sizes widen what is known to fit, from several threads at once."""
    figure = Compiled({"figure": B**4 * S - sp.floor(K / 3) * T}, single=True)
    wrong = []

    def work(start: int) -> None:
        for power in range(start, 70):
            point = {"B": (1 << power) + start, "S": power + 1, "K": 1 << power, "T": 3}
            exact = point["B"] ** 4 * point["S"] - point["K"] // 3 * 3
            many = figure(**point | {"B": [point["B"], 1]})
            if figure(**point) != exact or int(many[0]) != exact:
                wrong.append(point)

    threads = [Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
