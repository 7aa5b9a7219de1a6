"""Quasi-polynomials: told from what is none, by values and by formula."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symcost.symbols import n, q
from symcost.trace.quasi_polynomials import QuasiPolynomials

SIDES = range(1, 33)
WINDOWED = QuasiPolynomials(degree=2, period=7)
OTHERS = QuasiPolynomials(degree=4, period=1)


def at_sides(formula: sp.Expr) -> dict[int, int]:
    return {side: int(formula.subs(q, side)) for side in SIDES}


@pytest.mark.parametrize("formula", [sp.ceiling(2 * q / 7) ** 2, 5 * q**2 + q % 7, sp.Integer(3)])
def test_windows_are_of_degree_2_and_period_7(formula):
    assert WINDOWED.hold(formula, q)
    assert WINDOWED.fit(at_sides(formula))


@pytest.mark.parametrize(
    "formula",
    [sp.ceiling(2 * q / 7) ** 3, q**3, sp.ceiling(q / 5), sp.ceiling(2 * q / 7) * q**2, 2**q],
)
def test_a_higher_degree_or_another_period_is_noticed(formula):
    assert not WINDOWED.hold(formula, q)
    assert not WINDOWED.fit(at_sides(formula))


@pytest.mark.parametrize("formula", [q**5, sp.ceiling(2 * q / 7), sp.floor(q / 2), sp.Max(q, 5)])
def test_what_is_not_of_degree_4_is_noticed(formula):
    assert not OTHERS.hold(formula, q)
    assert not OTHERS.fit(at_sides(formula))


def test_a_single_wrong_value_is_noticed():
    values = at_sides(sp.ceiling(2 * q / 7) ** 2)
    for side in SIDES:
        assert not WINDOWED.fit({**values, side: values[side] + 1}), side


def test_how_many_sides_are_enough():
    assert WINDOWED.determined_by(range(1, 22))
    assert not WINDOWED.determined_by(range(1, 21))
    assert OTHERS.determined_by(range(1, 6))
    assert not OTHERS.determined_by(range(1, 5))
    assert not QuasiPolynomials(degree=4, period=7).determined_by(SIDES)


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=3), st.integers(1, 5))
def test_the_lemma(coefficients, period):
    """A difference of two that vanishes at d + 1 points of each class is zero."""
    kind = QuasiPolynomials(degree=2, period=period)
    formula = sum(c * sp.ceiling(q / period) ** k for k, c in enumerate(coefficients))
    points = range(1, 3 * period + 1)
    assert kind.determined_by(points)
    assert kind.hold(sp.sympify(formula), q)
    if all(formula.subs(q, point) == 0 for point in points):
        assert coefficients == [0, 0, 0]


def test_other_sizes_stay_symbols():
    assert OTHERS.hold(n * q**4 + sp.ceiling(n / 3), q)
    assert not OTHERS.hold(n * q**5, q)
