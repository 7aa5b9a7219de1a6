"""Figures of DeepSeek-OCR, compiled: what the exact evaluator says of the same formulas."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import sympy as sp

from symcost import Widths, load
from symcost.cost import METRICS, Cost
from symcost.exact import Evaluator, as_rational
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.numeric.compiled import Compiled
from symcost.stages import over_tokens
from symcost.symbols import CATALOGUE, B, S
from tests.numeric.support import loops

STAGES = ("vision", "prefill", "decode")
BASE = ("eager", "vendor", "all")
# Each pair of an execution, a reference and a head.
VARIANTS = (
    BASE,
    ("fused", "vendor", "last"),
    ("ideal", "vendor", "all"),
    ("eager", "transformers", "last"),
    ("fused", "transformers", "all"),
    ("ideal", "transformers", "last"),
)
ASKED = ("flops", "bytes_read", "bytes_written", "activation_bytes", "resident_bytes")


@cache
def formulas(variant: tuple[str, str, str] = BASE) -> dict[str, sp.Expr]:
    execution, reference, head = variant
    model = load("deepseek-ocr", execution=execution, reference=reference, lm_head=head)
    metrics = METRICS if variant == BASE else ASKED
    return {
        f"{s}.{m}": as_rational(c.figure(m))
        for s, c in symbolic_stages(model).items()
        for m in metrics
    }


@cache
def compiled(variant: tuple[str, str, str] = BASE, dtype: str | None = None) -> Compiled:
    return Compiled(formulas(variant), dtype=dtype)


def exactly(
    asked: dict[str, sp.Expr], point: dict[str, int | Fraction]
) -> dict[str, int | Fraction]:
    evaluator = Evaluator({CATALOGUE[name].symbol: value for name, value in point.items()})
    return {name: evaluator(formula) for name, formula in asked.items()}


PAGE = {"B": 1, "S": 1203, "K": 1203, "I_g": 1024, "I_t": 640, "n_w": 2, "n_h": 3}
BOUNDARIES = {
    "a page in Gundam mode": {},
    "no crops": {"n_w": 0, "n_h": 0},
    "one row of no columns": {"n_w": 0, "n_h": 3},
    "the least of everything": dict.fromkeys(PAGE, 1)
    | {"I_g": 64, "I_t": 64, "K": 0, "n_w": 0, "n_h": 0},
    "few tokens": {"S": 3, "K": 2},
    "tokens before all experts": {"B": 2, "S": 96},
    "as many tokens": {"B": 1, "S": 194},
    "one token fewer": {"B": 1, "S": 193},
    "windows that fit": {"I_g": 1344, "I_t": 448},
    "windows, a step below": {"I_g": 1280, "I_t": 384},
    "windows, a step above": {"I_g": 1408, "I_t": 512},
    "below what was trained": {"I_g": 960, "I_t": 960},
    "above what was trained": {"I_g": 1088, "I_t": 1088},
    "both views trained": {"I_t": 1024},
    "long": {"B": 64, "S": 2**20 + 1, "K": 2**21 - 1},
    "beyond 2^53": {"B": 2**11 + 1, "S": 2**15 + 1, "K": 2**31 + 1, "I_g": 6400},
    "beyond 2^63": {"B": 2**20 + 1, "S": 2**24 + 1, "K": 2**40 + 1, "I_g": 64 * 8191},
}


def at_random(count: int, seed: int) -> list[dict[str, int]]:
    chance = np.random.default_rng(seed)
    return [
        {
            "B": int(chance.integers(1, 300)),
            "S": int(chance.integers(1, 10 ** chance.integers(1, 7))),
            "K": int(chance.integers(0, 10 ** chance.integers(1, 7))),
            "I_g": 64 * int(chance.integers(1, 41)),
            "I_t": 64 * int(chance.integers(1, 26)),
            "n_w": int(chance.integers(0, 8)),
            "n_h": int(chance.integers(0, 8)),
        }
        for _ in range(count)
    ]


def as_arrays(points: list[dict[str, int]]) -> dict[str, np.ndarray]:
    return {name: np.array([point[name] for point in points]) for name in points[0]}


@pytest.mark.parametrize("name", BOUNDARIES)
def test_boundaries(name):
    point = PAGE | BOUNDARIES[name]
    exact = exactly(formulas(), point)
    found = compiled()(**point)
    assert found == exact
    assert all(type(value) is int for value in found.values())
    for figure, values in compiled()(**point | {"B": [point["B"]]}).items():
        assert values.tolist() == [exact[figure]]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant(variant):
    """Without machine code, which takes a second a variant: the statements are the same."""
    points = [*at_random(5, 1), *(PAGE | change for change in list(BOUNDARIES.values())[:12])]
    arrays = as_arrays(points)
    asked = formulas(variant)
    figures = Compiled(asked)
    found = figures(**arrays)
    assert set(found) == set(asked)
    with loops(machine_code=False):
        laid_out = figures(**arrays)
        with np.errstate(over="ignore"):
            scalars = [figures(**point) for point in points[3:6]]
    for place, point in enumerate(points):
        exact = exactly(asked, point)
        for name, value in exact.items():
            assert found[name].dtype == laid_out[name].dtype == np.int64
            assert found[name][place] == laid_out[name][place] == value
        if 3 <= place < 6:
            assert scalars[place - 3] == exact


SIDES = {
    "B": np.array([1, 2, 7]),
    "S": np.array([1, 50, 193, 194, 4096]),
    "K": np.array([0, 1, 9999]),
    "I_g": np.array([640, 1024, 1344]),
    "n_w": np.array([0, 1, 5]),
}


@pytest.mark.parametrize(
    "axes",
    [
        ("S",),
        ("B", "S"),
        ("S", "B"),
        ("S", "I_g"),
        ("n_w", "B"),
        ("B", "S", "K"),
        ("I_g", "n_w", "S"),
        ("K", "I_g", "B", "n_w"),
        ("B", "S", "I_g", "n_w"),
    ],
    ids=",".join,
)
@pytest.mark.parametrize("few", [0, 1 << 13])
def test_grids(axes, few):
    grid = {
        name: SIDES[name].reshape([-1 if at == axis else 1 for at in range(len(axes))])
        for axis, name in enumerate(axes)
    }
    with loops(few=few):
        found = compiled()(**PAGE | grid)
    shape = tuple(len(SIDES[name]) for name in axes)
    chance = np.random.default_rng(len(axes))
    places = [tuple(chance.integers(0, shape)) for _ in range(4)]
    for place in [(0,) * len(axes), tuple(s - 1 for s in shape), *places]:
        point = PAGE | {name: int(SIDES[name][at]) for name, at in zip(axes, place, strict=True)}
        exact = exactly(formulas(), point)
        for name, values in found.items():
            assert values.shape == shape
            assert values.dtype == np.int64
            assert values[place] == exact[name]


def test_no_two_loops_differ_anywhere():
    """All points of a grid: as a grid, side by side, step by step."""
    names = list(SIDES)
    mesh = np.meshgrid(*SIDES.values(), indexing="ij")
    flat = {name: values.reshape(-1) for name, values in zip(names, mesh, strict=True)}
    grid = {
        name: v.reshape([-1 if a == at else 1 for a in range(len(names))])
        for at, (name, v) in enumerate(SIDES.items())
    }
    steps = compiled()(**PAGE | flat)
    with loops():
        side_by_side = compiled()(**PAGE | flat)
        as_grid = compiled()(**PAGE | grid)
    for name, values in steps.items():
        assert np.array_equal(values, side_by_side[name])
        assert np.array_equal(values, as_grid[name].reshape(-1))


class TestLimits:
    """Sizes at which a figure, or what it is made of, leaves 2^53 and 2^63."""

    @staticmethod
    def last_below(limit: int, name: str, size: str) -> int:
        """The largest size whose figure is below a limit, by bisection in Python integers."""
        step = CATALOGUE[size].multiple_of
        low, high = 1, 2**50
        while high - low > 1:
            middle = (low + high) // 2
            value = exactly({name: formulas()[name]}, PAGE | {size: middle * step})[name]
            low, high = (middle, high) if value < limit else (low, middle)
        return low * step

    @pytest.mark.parametrize("limit", [2**53, 2**63])
    @pytest.mark.parametrize(
        ("name", "size"),
        [
            ("prefill.flops", "S"),
            ("prefill.flops", "B"),
            ("prefill.bytes_read", "S"),
            ("decode.resident_bytes", "K"),
            ("vision.flops", "I_g"),
            ("vision.activation_bytes", "I_t"),
        ],
    )
    def test_both_sides(self, name, size, limit):
        last = self.last_below(limit, name, size)
        step = CATALOGUE[size].multiple_of
        sizes = [last + step * by for by in (-2, -1, 0, 1, 2)]
        asked = {name: formulas()[name]}
        exact = [exactly(asked, PAGE | {size: value})[name] for value in sizes]
        assert exact[2] < limit <= exact[3]
        figure = one_figure(name)
        used = {n: v for n, v in PAGE.items() if n in figure.names}
        assert figure(**used | {size: sizes}).tolist() == exact
        assert [figure(**used | {size: value}) for value in sizes] == exact
        below, above = (figure(**used | {size: [value]}) for value in (sizes[0], sizes[4]))
        assert below.tolist() == exact[:1]
        assert above.dtype == (object if limit == 2**63 else np.int64)
        rounded = one_figure(name, "float64")
        for value, number in zip(sizes, exact, strict=True):
            stated = rounded.relative_error(**used | {size: value})
            assert stated < 1e-13
            assert (stated == 0) == (number < 2**53)
            for found in (rounded(**used | {size: value}), rounded(**used | {size: [value]})[0]):
                assert abs(Fraction(float(found)) - number) <= Fraction(stated) * number

    def test_int64_is_kept_as_long_as_it_can_be(self):
        """No intermediate result is much larger than the figure: Python integers are for few."""
        last = self.last_below(2**62, "prefill.flops", "S")
        assert one_figure("prefill.flops")(**PAGE_OF_PREFILL | {"S": [last]}).dtype == np.int64


PAGE_OF_PREFILL = {name: value for name, value in PAGE.items() if name != "K"}


@cache
def one_figure(name: str, dtype: str | None = None) -> Compiled:
    return Compiled({name: formulas()[name]}, single=True, dtype=dtype)


class TestFloat64:
    @pytest.mark.parametrize("name", BOUNDARIES)
    @pytest.mark.parametrize("few", [0, 1 << 13])
    def test_the_stated_error_holds(self, name, few):
        point = PAGE | BOUNDARIES[name]
        stated = compiled(BASE, "float64").relative_error(**point)
        exact = exactly(formulas(), point)
        sizes = point | {"S": [[point["S"]], [point["S"]]], "B": [point["B"]] * 2}
        with loops(few=few, machine_code=False):
            found = compiled(BASE, "float64")(**sizes)
        assert stated < 1e-13
        assert (stated == 0) == (max(exact.values()) < 2**53)
        for figure, values in found.items():
            assert values.dtype == np.float64
            for value in values.reshape(-1).tolist():
                assert abs(Fraction(value) - exact[figure]) <= Fraction(stated) * exact[figure]

    def test_ranges_of_all_sizes(self):
        """Clamps of wide ranges do not blow the statement up."""
        grid = {"B": [1, 512], "S": [1, 2**20], "K": [0, 2**20], "I_g": [64, 2048], "n_w": [0, 9]}
        assert compiled(BASE, "float64").relative_error(**PAGE | grid) < 1e-13


def symbolic() -> dict[str, Cost]:
    options = {"widths": Widths.SYMBOLIC, "routing": Routing.SYMBOLIC}
    return symbolic_stages(load("deepseek-ocr", **options))


class TestSymbolicWidths:
    WIDTHS = (
        {"w_w": 2, "w_a": 2, "w_kv": 2, "U": 6},
        {"w_w": Fraction(1, 2), "w_a": 2, "w_kv": 1, "U": 64},
        {
            "w_w": Fraction(33, 64),
            "w_a": Fraction(4, 3),
            "w_kv": Fraction(1, 7),
            "U": Fraction(55, 3),
        },
    )

    @staticmethod
    @cache
    def asked() -> dict[str, sp.Expr]:
        names = ("bytes_read", "bytes_written", "weight_bytes", "resident_bytes")
        return {f"{s}.{m}": as_rational(c.figure(m)) for s, c in symbolic().items() for m in names}

    @staticmethod
    @cache
    def figures() -> Compiled:
        return Compiled(TestSymbolicWidths.asked())

    @pytest.mark.parametrize("widths", WIDTHS, ids=str)
    def test_points_and_arrays(self, widths):
        points = at_random(2, 5)
        found = self.figures()(**as_arrays(points), **widths)
        for place, point in enumerate(points):
            exact = exactly(self.asked(), point | widths)
            with loops(machine_code=False):
                scalar = self.figures()(**point, **widths)
            assert scalar == exact
            assert {name: Fraction(values[place]) for name, values in found.items()} == exact

    def test_widths_along_an_axis(self):
        """Only the one in the middle is a fraction."""
        widths = np.array([1, Fraction(1, 2), 2], object)
        found = self.figures()(**PAGE | {"w_a": 2, "w_kv": 2, "U": 64}, w_w=widths)
        for place, width in enumerate(widths):
            exact = exactly(self.asked(), PAGE | {"w_w": width, "w_a": 2, "w_kv": 2, "U": 64})
            assert {name: Fraction(values[place]) for name, values in found.items()} == exact


def test_decode_summed_over_tokens():
    steps = over_tokens(symbolic_stages(load("deepseek-ocr", execution="fused"))["decode"])
    asked = {metric: as_rational(steps.figure(metric)) for metric in METRICS}
    figures = Compiled(asked)
    batch, tokens = np.array([1, 2, 40]), np.array([1, 2, 3, 500, 2**20 + 1])
    for few in (0, 1 << 13):
        with loops(few=few):
            found = figures(B=batch[:, None], T=tokens, K=777)
        for i, b in enumerate(batch.tolist()):
            for j, t in enumerate(tokens.tolist()):
                exact = exactly(asked, {"B": b, "T": t, "K": 777})
                assert {name: int(values[i, j]) for name, values in found.items()} == exact


def test_backward():
    model = load("deepseek-ocr", execution="ideal")
    model.start_prefill(S, B)
    cost = model.get_backward_cost()
    asked = {m: as_rational(cost.figure(m)) for m in (*ASKED, "gradient_bytes")}
    points = [*at_random(3, 8), PAGE | {"n_w": 0, "n_h": 0}, PAGE | {"S": 5}]
    found = Compiled(asked)(**as_arrays(points))
    for place, point in enumerate(points):
        exact = exactly(asked, point)
        assert {name: int(values[place]) for name, values in found.items()} == exact
