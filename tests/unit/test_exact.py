"""Exact evaluation: against Python's own integers and fractions, and every refusal."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import DomainError, UnboundSymbolError
from symcost.exact import Evaluator, decimal_text, evaluate, fraction_text
from symcost.symbols import B, D, I_g, K, S, V, n_w, w_a, w_kv

naturals = st.integers(1, 10**30)
widths = st.fractions(min_value=Fraction(1, 64), max_value=64)


class Point(NamedTuple):
    batch: int
    tokens: int
    width: Fraction


NODES = {
    "number": (sp.Integer(7), lambda _: 7),
    "fraction": (sp.Rational(-7, 3), lambda _: Fraction(-7, 3)),
    "symbol": (B, lambda p: p.batch),
    "sum": (B + S + 5, lambda p: p.batch + p.tokens + 5),
    "difference": (B - 3 * S, lambda p: p.batch - 3 * p.tokens),
    "product": (6 * B * S, lambda p: 6 * p.batch * p.tokens),
    "product with a fraction": (B * w_a, lambda p: p.batch * p.width),
    "square": (B**2, lambda p: p.batch**2),
    "cube of a sum": ((B + w_a) ** 3, lambda p: (p.batch + p.width) ** 3),
    "quotient": (B / S, lambda p: Fraction(p.batch, p.tokens)),
    "inverse square": (1 / S**2, lambda p: Fraction(1, p.tokens**2)),
    "minimum": (sp.Min(B, S), lambda p: min(p.batch, p.tokens)),
    "minimum of three": (sp.Min(B, S, 12), lambda p: min(p.batch, p.tokens, 12)),
    "maximum": (sp.Max(B, S), lambda p: max(p.batch, p.tokens)),
    "magnitude": (sp.Abs(B - S), lambda p: abs(p.batch - p.tokens)),
    "floor": (sp.floor(B / S), lambda p: p.batch // p.tokens),
    "floor of a negative": (sp.floor((B - S) / 7), lambda p: (p.batch - p.tokens) // 7),
    "ceiling": (sp.ceiling(B / S), lambda p: -(-p.batch // p.tokens)),
    "ceiling of a negative": (sp.ceiling((B - S) / 7), lambda p: -(-(p.batch - p.tokens) // 7)),
    "floor of a fraction": (sp.floor(B * w_a), lambda p: math.floor(p.batch * p.width)),
}


@pytest.mark.parametrize("node", NODES)
@given(batch=naturals, tokens=naturals, width=widths)
def test_every_node_is_exact(node, batch, tokens, width):
    formula, expected = NODES[node]
    value = evaluate(formula, {B: batch, S: tokens, w_a: width})
    assert value == expected(Point(batch, tokens, width))
    # A number that is whole is an integer, so that it prints and divides like one.
    assert type(value) is (int if Fraction(value).denominator == 1 else Fraction)


def test_every_node_type_has_a_case():
    from_cases = {
        type(node) for formula, _ in NODES.values() for node in sp.preorder_traversal(formula)
    }
    kinds = {sp.Add, sp.Mul, sp.Pow, sp.Min, sp.Max, sp.Abs, sp.floor, sp.ceiling, sp.Symbol}
    assert kinds <= from_cases


def test_beyond_sixty_four_bits():
    """The trap of int64: 2 * 10^22 wraps around to 3729424098846048256 there."""
    assert evaluate(2 * B * S, {B: 10**11, S: 10**11}) == 20_000_000_000_000_000_000_000


def test_beyond_the_integers_of_a_float():
    assert evaluate(sp.ceiling(B / 2), {B: 2**60 + 1}) == 2**59 + 1
    assert evaluate(sp.floor(B / 3), {B: 3 * 10**40 - 1}) == 10**40 - 1


def test_half_a_byte_per_weight_is_no_rounding():
    assert evaluate(3 * B * w_a, {B: 5, w_a: Fraction(1, 2)}) == Fraction(15, 2)
    assert evaluate(3 * B * w_a, {B: 4, w_a: Fraction(1, 2)}) == 6


def test_zero_is_a_value():
    assert evaluate(K * S + n_w, {K: 0, n_w: 0, S: 9}) == 0


def test_a_whole_fraction_comes_back_as_an_integer():
    assert type(evaluate(B, {B: Fraction(4)})) is int
    assert type(evaluate(B * S, {B: Fraction(4), S: 1})) is int


def test_an_evaluator_serves_many_formulas():
    value = Evaluator({B: 3, S: 5})
    assert [value(f) for f in (B * S, (B * S) ** 2, sp.Min(B * S, 4))] == [15, 225, 4]


@pytest.mark.parametrize(
    ("formula", "point", "message"),
    [
        (B * S, {B: 2}, r"S \(tokens .*\) has no value; give it one, a positive integer"),
        (K, {}, r"K \(tokens .*cached.*\) has no value; give it one, a non-negative integer"),
        (I_g, {B: 2}, r"I_g \(side .*\) has no value; give it one, a positive multiple of 64"),
        (w_a * 0 + w_kv, {}, r"w_kv \(bytes .*\) has no value; give it one, a positive rational"),
    ],
)
def test_an_unbound_symbol_is_named_with_its_meaning_and_domain(formula, point, message):
    with pytest.raises(UnboundSymbolError, match=message):
        evaluate(formula, point)


@pytest.mark.parametrize(
    ("symbol", "value", "allowed"),
    [
        (B, 0, "positive integer"),
        (B, -1, "positive integer"),
        (K, -1, "non-negative integer"),
        (S, Fraction(1, 2), "positive integer"),
        (S, 1.5, "positive integer"),
        (S, 2.0, "positive integer"),
        (S, "2", "positive integer"),
        (S, True, "positive integer"),
        (S, None, "positive integer"),
        (I_g, 100, "positive multiple of 64"),
        (I_g, 0, "positive multiple of 64"),
        (D, 3, "positive multiple of 2"),
        (w_a, 0, "positive rational"),
        (w_a, Fraction(-1, 2), "positive rational"),
        (w_a, 0.5, "positive rational"),
    ],
)
def test_a_value_outside_its_domain_is_refused(symbol, value, allowed):
    with pytest.raises(DomainError) as error:
        evaluate(symbol, {symbol: value})
    text = str(error.value)
    assert text.startswith(f"{symbol} (")
    assert f"is {value!r}; allowed: a {allowed}" in text


def test_values_are_checked_though_the_formula_does_not_use_them():
    with pytest.raises(DomainError, match="B "):
        evaluate(S, {S: 1, B: 0})


def test_a_foreign_symbol_is_refused():
    """Symbol("S") is not S: it carries no domain."""
    with pytest.raises(DomainError, match="symbol S is not declared"):
        evaluate(sp.Symbol("S"), {S: 3})
    with pytest.raises(DomainError, match="symbol x is not declared"):
        evaluate(B, {B: 1, sp.Symbol("x"): 3})


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        (sp.sin(B), "sin"),
        (sp.log(B), "log"),
        (sp.Float(0.5) * B, "Float"),
        (sp.pi * B, "Pi"),
        (sp.Heaviside(B - S), "Heaviside"),
    ],
)
def test_a_node_that_is_no_part_of_formulas_is_refused(formula, name):
    with pytest.raises(DomainError, match=f"{name} is no part of a formula"):
        evaluate(formula, {B: 2, S: 3})


def test_a_root_is_refused():
    with pytest.raises(DomainError, match="2 to the power of 1/2 is not a rational number"):
        evaluate(sp.sqrt(V), {V: 2})


def test_a_division_by_zero_is_refused():
    with pytest.raises(DomainError):
        evaluate(1 / n_w, {n_w: 0})


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(1, 3), "0.3333"),
        (0, "0"),
        (12345, "12,340"),
        (10**400, "1.000e+400"),
        (Fraction(-1, 10**400), "-1.000e-400"),
    ],
)
def test_digits_of_any_number(number, text):
    assert decimal_text(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(3, "3"), (Fraction(1, 8), "0.125"), (Fraction(-5, 2), "-2.5"), (Fraction(2, 3), "2/3")],
)
def test_all_digits_where_they_end(number, text):
    assert fraction_text(number) == text
