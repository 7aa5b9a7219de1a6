"""Sensitivities against exact interpolation, neighbours and brute force."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symcost
from symcost.errors import DomainError, UnboundSymbolError
from symcost.exact import Evaluator
from symcost.figures import formula_of
from symcost.insight.sensitivity import (
    dominant_terms,
    flat,
    growth,
    majority,
    sensitivities,
    sizes_of,
    with_crops,
)
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, stage_costs, symbolic_costs
from symcost.peaks import Peak
from symcost.render.sensitivity import growth_sentences
from symcost.symbols import B, C, I_g, I_t, K, S, T, n_h, n_w, w_a

SIZES = (B, S, K, T)

polynomials = st.dictionaries(
    st.tuples(*[st.integers(0, 3)] * len(SIZES)),
    st.fractions(-50, 50, max_denominator=8).filter(bool),
    min_size=1,
    max_size=5,
)
"""Coefficients by exponents: what formulas and the values that are expected are both made of."""
points = st.tuples(*[st.integers(1, 40)] * len(SIZES))


def formula_from(polynomial):
    return sp.Add(
        *(
            sp.Rational(c.numerator, c.denominator)
            * sp.Mul(*(s**e for s, e in zip(SIZES, exponents, strict=True)))
            for exponents, c in polynomial.items()
        )
    )


def value_of(polynomial, point):
    return sum(
        (c * math.prod(x**e for x, e in zip(point, exponents, strict=True)))
        for exponents, c in polynomial.items()
    )


def slope_of(values, at):
    """The derivative at a node of the polynomial through (node, value): by Lagrange, exact."""
    slope = Fraction(0)
    nodes = list(values)
    for i in nodes:
        others = [j for j in nodes if j != i]
        below = math.prod(i - j for j in others)
        above = sum(math.prod(at - k for k in others if k != j) for j in others)
        slope += Fraction(values[i] * above, 1) / below
    return slope


def check_slope(found, values):
    """The slope that is told is that of the values around the point."""
    assert found.slope == slope_of(values, found.value)


@settings(max_examples=20)
@given(polynomials, points)
def test_the_derivative_is_that_of_the_polynomial_through_neighbours(polynomial, point):
    bindings = dict(zip(SIZES, point, strict=True))
    for found in sensitivities(formula_from(polynomial), bindings):
        index = SIZES.index(found.symbol)
        values = {
            x: value_of(polynomial, (*point[:index], x, *point[index + 1 :]))
            for x in range(point[index], point[index] + 5)
        }
        check_slope(found, values)
        assert found.difference == values[point[index] + 1] - values[point[index]]
        value = values[point[index]]
        expected = found.slope * found.value / Fraction(value) if value else None
        assert found.elasticity == expected
        assert found.reason == ""
        assert found.domain == ()


def test_the_interpolation_refuses_a_wrong_slope():
    (right,) = sensitivities(7 * S**3, {S: 5})
    values = {x: 7 * x**3 for x in range(5, 9)}
    check_slope(right, values)
    with pytest.raises(AssertionError):
        check_slope(replace(right, slope=2 * right.slope), values)
    with pytest.raises(AssertionError):
        check_slope(right, {x: 7 * x**3 + x for x in range(5, 9)})


@settings(max_examples=20)
@given(polynomials, points, st.integers(1, 6))
def test_elasticities_of_a_homogeneous_figure_add_to_its_degree(polynomial, point, degree):
    homogeneous = {}
    for (b, s, k, _), c in polynomial.items():
        if b + s + k <= degree:
            homogeneous[b, s, k, degree - b - s - k] = c
    value = value_of(homogeneous, point)
    if not value:
        return
    found = sensitivities(formula_from(homogeneous), dict(zip(SIZES, point, strict=True)))
    assert sum(size.elasticity for size in found) == degree


def ceiling(x, by):
    return -(-x // by)


class Sizes(NamedTuple):
    b: int
    s: int
    g: int
    t: int
    w: int
    h: int


CASES = {
    "rounded": (
        B * sp.ceiling(I_g / 224) ** 2 + 3 * I_g,
        lambda x: x.b * ceiling(x.g, 224) ** 2 + 3 * x.g,
    ),
    "bounded": (
        S * sp.Min(194, B * S) + B,
        lambda x: x.s * min(194, x.b * x.s) + x.b,
    ),
    "largest": (
        7 * S + sp.Max(B * S**2, 900 * S, 5 * I_t, evaluate=False),
        lambda x: 7 * x.s + max(x.b * x.s * x.s, 900 * x.s, 5 * x.t),
    ),
    "indicators": (
        (I_g**2 - 8) * sp.Min(1, sp.Abs(I_g - 1024)) + I_t * sp.Min(1, n_w * n_h) + B * n_w * n_h,
        lambda x: (x.g * x.g - 8) * (x.g != 1024) + x.t * (x.w * x.h > 0) + x.b * x.w * x.h,
    ),
    "experts": (
        S * sp.floor(sp.Rational(1001, 2) - 500 * sp.Rational(29, 32) ** sp.Min(9, B)),
        lambda x: x.s * math.floor(Fraction(1001, 2) - 500 * Fraction(29, 32) ** min(9, x.b)),
    ),
    "columns": (
        I_t * n_h + B * n_w * n_h,
        lambda x: x.t * x.h + x.b * x.w * x.h,
    ),
}
PLACES = {B: 0, S: 1, I_g: 2, I_t: 3, n_w: 4, n_h: 5}
grids = st.one_of(st.just((0, 0)), st.tuples(st.integers(1, 4), st.integers(1, 4)))
sized = st.builds(
    lambda b, s, g, t, grid: Sizes(b, s, 64 * g, 64 * t, *grid),
    st.integers(1, 12),
    st.integers(1, 1000),
    st.integers(1, 20),
    st.integers(1, 20),
    grids,
)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(point=sized)
def test_one_more_step_does_what_the_next_point_says(name, point):
    formula, count = CASES[name]
    bindings = {symbol: point[place] for symbol, place in PLACES.items()}
    for found in sensitivities(formula, bindings):
        if found.symbol == C:
            assert found.difference == point[0] + point[3] * (point[4] * point[5] == 0)
            continue
        place = PLACES[found.symbol]
        if found.symbol in (n_w, n_h) and not point[4]:
            assert found.difference is None
            assert "without crops" in found.reason
            continue
        step = 64 if found.symbol in (I_g, I_t) else 1
        assert found.step == step
        moved = Sizes(*point[:place], point[place] + step, *point[place + 1 :])
        assert found.difference == count(moved) - count(point)


@pytest.mark.parametrize("name", ["bounded", "largest", "experts"])
@settings(max_examples=12)
@given(point=sized)
def test_a_branch_has_its_slope_wherever_its_conditions_hold(name, point):
    formula, count = CASES[name]
    bindings = {symbol: point[place] for symbol, place in PLACES.items()}
    for found in sensitivities(formula, bindings):
        if found.derivative is None:
            continue
        place, held = PLACES[found.symbol], Peak("", found.derivative, found.domain)
        around = [found.value + found.step * steps for steps in range(-4, 5)]
        inside = [x for x in around if x > 0 and held.holds({**bindings, found.symbol: x})]
        assert found.value in inside
        values = {x: count(Sizes(*point[:place], x, *point[place + 1 :])) for x in inside}
        if len(values) > 3:
            check_slope(found, values)


def sensitivity_to(formula, symbol, bindings):
    return next(x for x in sensitivities(formula, bindings) if x.symbol == symbol)


@pytest.mark.parametrize(
    ("formula", "symbol", "bindings", "reason"),
    [
        (sp.ceiling(I_g / 224), I_g, {I_g: 640}, "contains ceiling(I_g/224)"),
        (S * sp.Min(1, sp.Abs(I_g - 1024)), I_g, {I_g: 1024, S: 1}, "jumps here"),
        (S * sp.Min(1, C), C, {C: 0, S: 1}, "jumps here"),
        (sp.Min(194, B), B, {B: 194}, "branches of Min(194, B) meet here"),
        (sp.Max(2 * S, S**2, evaluate=False), S, {S: 2}, "meet here"),
        (sp.Rational(29, 32) ** B, B, {B: 3}, "contains (29/32)**B"),
        (sp.floor(100 * sp.Rational(29, 32) ** sp.Min(9, B)), B, {B: 3}, "contains (29/32)**B"),
    ],
)
def test_what_has_no_derivative_says_why(formula, symbol, bindings, reason):
    found = sensitivity_to(formula, symbol, bindings)
    assert (found.derivative, found.slope, found.elasticity) == (None, None, None)
    assert reason in found.reason
    assert found.difference is not None


def test_a_bound_that_is_reached_has_a_derivative_of_zero_from_there_on():
    found = sensitivity_to(sp.floor(100 * sp.Rational(1, 2) ** sp.Min(9, B)), B, {B: 10})
    assert found.slope == 0
    assert [str(condition) for condition in found.domain] == ["B >= 9"]


def test_the_derivative_stays_a_formula_in_all_sizes():
    found = sensitivity_to(B * (3 * S**2 + S) + 5 * S, S, {B: 2, S: 10})
    assert sp.expand(found.derivative - (B * (6 * S + 1) + 5)) == 0
    assert found.slope == 127


def test_columns_and_rows_are_told_as_crops_where_they_come_as_a_product_only():
    bindings = {B: 2, I_t: 640, n_w: 2, n_h: 3}
    assert sizes_of(flat(B * n_w * n_h + sp.Min(1, n_w * n_h))) == [B, C]
    assert sizes_of(flat(sp.Max(B * n_w * n_h, I_t * n_w * n_h**2, evaluate=False))) == [
        B,
        I_t,
        n_w,
        n_h,
    ]
    assert sensitivity_to(B * n_w * n_h, C, bindings).slope == 2
    assert sensitivity_to(B * n_w * n_h, C, bindings).value == 6


def test_widths_step_by_a_byte():
    found = sensitivity_to(S * w_a, w_a, {S: 7, w_a: Fraction(1, 2)})
    assert (found.value, found.step, found.difference, found.elasticity) == (
        Fraction(1, 2),
        1,
        7,
        1,
    )


def test_a_size_without_a_value_and_one_outside_its_domain_are_refused():
    with pytest.raises(UnboundSymbolError, match="S "):
        sensitivities(B * S, {B: 1})
    with pytest.raises(DomainError, match="I_g"):
        sensitivities(B * I_g, {B: 1, I_g: 65})


@settings(max_examples=20)
@given(polynomials, points)
def test_shares_of_all_terms_add_to_one(polynomial, point):
    bindings = dict(zip(SIZES, point, strict=True))
    terms = dominant_terms(formula_from(polynomial), bindings, None)
    value = value_of(polynomial, point)
    if not value:
        assert terms == []
        return
    assert sum(term.share for term in terms) == 1
    assert sum(term.value for term in terms) == value
    sizes = [abs(term.value) for term in terms]
    assert sizes == sorted(sizes, reverse=True)


def test_terms_of_a_maximum_are_those_of_what_is_the_largest():
    formula = 5 * K + sp.Max(2 * S, S**2 + B, evaluate=False)
    assert [t.formula for t in dominant_terms(formula, {B: 1, K: 1, S: 10})] == [S**2, 5 * K, B]
    assert [t.formula for t in dominant_terms(formula, {B: 9, K: 1, S: 1})] == [B, 5 * K, S**2]
    assert len(dominant_terms(formula, {B: 1, K: 1, S: 10}, 2)) == 2


@settings(max_examples=20)
@given(polynomials, st.sampled_from(range(len(SIZES))))
def test_the_order_of_a_polynomial_is_its_degree(polynomial, index):
    symbol = SIZES[index]
    degree, coefficient = growth(formula_from(polynomial), symbol)
    assert degree == max(exponents[index] for exponents in polynomial)
    leading = {
        tuple(0 if i == index else e for i, e in enumerate(exponents)): c
        for exponents, c in polynomial.items()
        if exponents[index] == degree
    }
    assert sp.expand(coefficient - formula_from(leading)) == 0


@pytest.mark.parametrize(
    ("formula", "symbol", "period"),
    [
        (13 * I_g**4 / 65536 + 8 * sp.ceiling(I_g / 224) ** 2 + 5, I_g, 448),
        (3 * sp.ceiling(I_g / 224) ** 2 * I_g + I_g**2, I_g, 448),
        (S * sp.Min(194, B * S) + S, S, 200),
        ((S + 1) * (sp.floor(S / 3) + S) * sp.Min(1, S), S, 3),
        (sp.Max(7 * S**2, 900 * S, evaluate=False) + S**2, S, 1000),
        (S * sp.Abs(5 - 2 * S), S, 10),
    ],
)
def test_the_order_is_seen_where_roundings_are_exact(formula, symbol, period):
    """At multiples of what is divided by, far out, a figure is a polynomial: its differences."""
    degree, coefficient = growth(formula, symbol)
    steps = [Evaluator({B: 3, symbol: period * (100 + i)})(formula) for i in range(degree + 2)]
    for _ in range(degree):
        steps = [after - before for before, after in pairwise(steps)]
    assert steps[0] == steps[1]
    expected = Fraction(steps[0], math.factorial(degree) * period**degree)
    assert Evaluator({B: 3})(coefficient) == expected


@pytest.mark.parametrize(
    "formula",
    [sp.ceiling(S / 3) - S / 3, sp.Min(K - 5, S * (K - 5)) * S, 2**S, 1 / S, sp.Max(S, K - S * K)],
)
def test_an_order_that_is_not_known_is_refused(formula):
    with pytest.raises(DomainError, match=r"S.*unknown|unknown"):
        growth(formula, S)


@settings(max_examples=15)
@given(st.integers(1, 9), st.integers(0, 500), st.integers(0, 5000))
def test_the_leading_term_is_half_exactly_where_it_is_told(a, b, c):
    formula = a * B * S**2 + b * B * S + c
    told = majority(formula, S, {B: 2, S: 10})
    assert told is not None
    held = Peak("", formula, told)
    for size in (*range(1, 40), 100, 250, 251, 499, 500, 501, 1000):
        leading, rest = 2 * a * size**2, 2 * b * size + c
        assert held.holds({S: size}) == (leading >= rest)


@cache
def closed_forms():
    return symbolic_costs(symcost.load("deepseek-ocr", widths=Widths.SYMBOLIC))


FIGURES = ("vision.flops", "prefill.flops", "decode.bytes_moved", "prefill.decoder.bytes_read")


@pytest.mark.parametrize("name", FIGURES)
@settings(max_examples=4)
@given(point=sized, new=st.integers(1, 9))
def test_of_the_model_one_more_step_is_the_next_point(name, point, new):
    formula = formula_of(closed_forms(), name)
    bindings = {s: point[place] for s, place in PLACES.items()} | Widths().bindings
    bindings |= {K: 17, T: new}
    value = Evaluator(with_crops(bindings))
    for found in sensitivities(formula, bindings):
        if found.symbol == C or found.difference is None:
            continue
        moved = Evaluator({**bindings, found.symbol: found.value + found.step})
        assert found.difference == moved(formula) - value(formula)


@pytest.mark.parametrize("name", FIGURES)
def test_of_the_model_shares_add_to_one(name):
    bindings = Workload.from_options(batch=3).bindings | {T: 5}
    terms = dominant_terms(formula_of(closed_forms(), name), bindings, None)
    assert sum(term.share for term in terms) == 1


def test_of_the_model_one_more_token_is_what_a_workload_of_one_more_token_costs():
    """Against costs of numbers, which no closed form was asked for."""
    here, longer, wider = (
        Workload.from_options(batch=batch, context_len=tokens, no_image=True)
        for batch, tokens in ((2, 50), (2, 51), (3, 50))
    )

    def flops(workload):
        build = lambda views: symcost.load("deepseek-ocr", views=views)  # noqa: E731
        return stage_costs(build, workload)["prefill"].parts["decoder"].flops

    formula = formula_of(closed_forms(), "prefill.decoder.flops")
    found = {x.symbol: x for x in sensitivities(formula, here.bindings)}
    assert found[S].difference == flops(longer) - flops(here)
    assert found[B].difference == flops(wider) - flops(here)


def test_growth_in_sentences():
    formula = B * (4 * S**2 + 400 * S) + 3 * sp.ceiling(I_g / 224) * B + sp.Min(9, K)
    bindings = {B: 2, S: 10, I_g: 640, K: 20}
    told = growth_sentences("prefill.flops", formula, bindings)
    whole = 2 * (4 * 10**2 + 400 * 10) + 3 * 3 * 2 + 9
    rounded = next(
        64 * i for i in range(1, 10**4) if 6 * 64 * i * 2 >= 224 * (8809 + 6 * ceiling(64 * i, 224))
    )
    assert told == [
        f"prefill.flops grows as B: {100 * (whole - 9) / whole:.3g} % of it at B = 2, "
        "at least half everywhere",
        f"prefill.flops grows as S**2, by 4*B*S**2: {100 * 800 / whole:.3g} % of it at S = 10, "
        "at least half where S >= 101",
        "prefill.flops is bounded as K grows",
        f"prefill.flops grows as I_g: {100 * 6 * 640 / 224 / whole:.3g} % of it at I_g = 640, "
        f"at least half where I_g >= {rounded}",
    ]
    assert growth_sentences("x", S**2 + S, {S: 1}, show=lambda f: f"${f}$") == [
        "x grows as $S**2$, by $S**2$: 50 % of it at $S$ = 1, at least half everywhere"
    ]
