"""float64 where it is asked for: the stated relative error holds, and is 0 where nothing rounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symcost.numeric.compiled import Compiled
from symcost.symbols import B, I_g, K, S, T, w_w
from tests.numeric.support import LEAST, STEPS, by_chance, exact_array, loops


def check(formula, sizes, shape, **how) -> float:
    """Whether all values keep the error that is stated for them, which is returned."""
    figure = Compiled({"figure": formula}, single=True, dtype="float64")
    exact = exact_array(formula, shape, sizes)
    stated = figure.relative_error(**sizes)
    with loops(**how):
        found = figure(**sizes)
    assert found.dtype == np.float64
    for value, number in zip(found.reshape(-1).tolist(), exact.reshape(-1), strict=True):
        if stated == np.inf:
            break
        assert abs(Fraction(value) - number) <= Fraction(stated) * abs(number)
    return stated


NEAR = 3**25 * B * S - 3**25 * B * K
"""Two large terms that differ by little, where S is K + 1."""

CANCELLING = {
    "in a sum": NEAR + 3**25 * T,
    "in a maximum": sp.Max(0, NEAR) + 1,
    "in a minimum of little": 1 + sp.Min(10, sp.Max(0, NEAR - 3**25 * B + 3)),
    "before a floor": sp.floor(sp.Min(50, sp.Max(1, NEAR - 3**25 * B + 7)) / 3) + 1,
    "in a product": sp.Max(NEAR - 3**25 * B, 3) * sp.Min(NEAR - 3**25 * B + 5, 5) * T,
    "in a magnitude": sp.Abs(NEAR - 3**25 * B + 4) + T,
}
CLOSE = {
    "B": [3**19 + 1, 3**19, 3**19 + 4],
    "S": [3**20 + 1, 3**20 + 2, 3**20],
    "K": [3**20, 3**20 + 1, 3**20 - 1],
    "T": [1, 2, 5],
}


@pytest.mark.parametrize("machine_code", [False, None])
@pytest.mark.parametrize("name", CANCELLING)
def test_cancelling(name, machine_code):
    formula = CANCELLING[name]
    sizes = {symbol.name: np.array(CLOSE[symbol.name]) for symbol in formula.free_symbols}
    how = {"few": 1 << 13} if machine_code is None else {"machine_code": False}
    check(formula, sizes, (3,), **how)


def test_cancelling_of_one_figure_in_another():
    """Short figures are part of longer ones; their errors are, too."""
    less = 10**9 * B * S - 10**9 * B * K
    both = Compiled({"less": less, "more": less + T}, dtype="float64")
    exact = Compiled({"less": less, "more": less + T})
    for power in (20, 33, 50):
        sizes = {"B": 3**21 + 1, "S": 2**power + 1, "K": 2**power, "T": [3, 10**9 + 1]}
        stated = Fraction(both.relative_error(**sizes))
        for name, values in exact(**sizes).items():
            for found, value in zip(both(**sizes)[name].tolist(), values.tolist(), strict=True):
                assert abs(Fraction(found) - value) <= stated * abs(value)


values = st.one_of(st.integers(0, 9), st.integers(0, 2**16), st.integers(2**26, 2**54))


@st.composite
def cases(draw):
    formula = by_chance(
        lambda options: draw(st.sampled_from(list(options))), draw(st.integers(1, 3))
    )
    names = sorted(map(str, formula.free_symbols)) or ["B"]
    sizes = {}
    for name in names:
        step, least = STEPS.get(name, 1), LEAST.get(name, 1)
        drawn = draw(st.lists(values, min_size=3, max_size=3))
        sizes[name] = np.array([max(v // step, least) * step for v in drawn])
    return formula, sizes


@settings(max_examples=80)
@given(cases(), st.booleans())
def test_formulas_by_chance(case, few):
    formula, sizes = case
    check(formula, sizes, (3,), **({"few": 1 << 13} if few else {"machine_code": False}))


@settings(max_examples=30)
@given(cases(), st.integers(1, 2))
def test_grids_by_chance(case, outer):
    formula, sizes = case
    grid = {
        name: v[:, None] if place % 2 == outer % 2 else v
        for place, (name, v) in enumerate(sizes.items())
    }
    check(formula, grid, np.broadcast_shapes(*(v.shape for v in grid.values())), machine_code=False)


@pytest.mark.parametrize(
    "formula",
    [
        3 * B * S + K,
        sp.floor(B / 3) * S,
        B * (B + 1) / 2,
        B * S / 4 + K,
        sp.Max(B * 2**20, S * 3 - K),
    ],
    ids=str,
)
def test_nothing_is_rounded_below_2_to_the_53(formula):
    sizes = {"B": np.arange(1, 50), "S": np.arange(1001, 1050), "K": 2**40 + np.arange(49)}
    sizes = {symbol.name: sizes[symbol.name] for symbol in formula.free_symbols}
    assert check(formula, sizes, (49,)) == 0


def test_both_sides_of_2_to_the_53():
    figure = Compiled({"figure": 3 * B + S}, single=True, dtype="float64")
    below, above = (2**53 - 2) // 3, (2**53 - 2) // 3 + 1
    assert 3 * below + 1 < 2**53 <= 3 * above + 1
    assert figure.relative_error(B=below, S=1) == 0
    assert 0 < figure.relative_error(B=above, S=1) < 1e-14
    assert figure.relative_error(B=[1, above], S=1) == figure.relative_error(B=above, S=1)
    assert figure(B=below, S=1) == 3 * below + 1
    # Rounded once: the nearest float64.
    for batch in range(above, above + 9):
        assert figure(B=batch, S=1) == float(3 * batch + 1)
        assert figure(B=[batch], S=1).tolist() == [float(3 * batch + 1)]


@pytest.mark.parametrize("power", [62, 63, 64, 70, 200])
def test_beyond_int64(power):
    formula = 7 * B * S + sp.floor(S / 3) + sp.Max(K, 2**60) * B
    sizes = {"B": [2**power + 1, 3], "S": [5, 2**9 + 1], "K": [2**61 + 1, 7]}
    stated = check(formula, sizes, (2,))
    assert 0 < stated < 1e-13
    check(2**power * B + S, {"B": [1, 3], "S": [1, 2]}, (2,))


def test_what_has_a_size_that_is_a_fraction_is_rounded():
    sizes = {"B": [1, 2, 3], "w_w": Fraction(1, 3)}
    figure = Compiled({"figure": B * w_w}, single=True, dtype="float64")
    assert 0 < figure.relative_error(**sizes) < 1e-14
    assert figure(**sizes).tolist() == [1 / 3, 2 / 3, 1.0]


def test_scalars_are_floats():
    figure = Compiled({"figure": B * S}, single=True, dtype="float64")
    found = figure(B=3, S=4), figure(B=2**40, S=2**40 + 1), figure(B=np.int8(3), S=[[2]])[0, 0]
    assert found == (12, float(2**40 * (2**40 + 1)), 6)
    assert all(isinstance(value, float) for value in found)
    figures = Compiled({"a": B * S, "b": sp.ceiling(I_g / 224)}, dtype="float64")
    assert figures(B=3, S=4, I_g=256) == {"a": 12.0, "b": 2.0}
    assert all(type(value) is float for value in figures(B=3, S=4, I_g=256).values())
