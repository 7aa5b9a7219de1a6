"""Symbols with domains, and whole division that knows them, against Python's own integers."""

from __future__ import annotations

import ast
from fractions import Fraction
from pathlib import Path

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import symcost
from symcost.errors import DomainError
from symcost.exact import evaluate
from symcost.symbols import (
    CATALOGUE,
    CROPS,
    B,
    D,
    I_g,
    I_t,
    K,
    M,
    P,
    S,
    as_expr,
    ceil_div,
    differs,
    floor_div,
    info_of,
    n,
    n_0,
    n_h,
    n_w,
    positive,
    w_a,
)

SIDES = range(64, 2049, 64)
DIVISORS = [1, 2, 3, 7, 14, 16, 32, 48, 64, 100, 128, 640, 1024, 3000]


@pytest.mark.parametrize("divisor", DIVISORS)
@pytest.mark.parametrize("symbol", [I_g, I_t])
class TestDivisionOfSides:
    def test_floor(self, symbol, divisor):
        formula = floor_div(symbol, divisor)
        values = [evaluate(formula, {symbol: side}) for side in SIDES]
        assert values == [side // divisor for side in SIDES]

    def test_ceiling(self, symbol, divisor):
        formula = ceil_div(symbol, divisor)
        values = [evaluate(formula, {symbol: side}) for side in SIDES]
        assert values == [-(-side // divisor) for side in SIDES]

    def test_window_of_a_convolution(self, symbol, divisor):
        """The places of a window of 3 that moves by the divisor over a padded side."""
        formula = floor_div(symbol + 2 - 3, divisor) + 1
        values = [evaluate(formula, {symbol: side}) for side in SIDES]
        assert values == [(side - 1) // divisor + 1 for side in SIDES]

    def test_twice(self, symbol, divisor):
        formula = ceil_div(ceil_div(symbol, 16), divisor)
        values = [evaluate(formula, {symbol: side}) for side in SIDES]
        assert values == [-(-(side // 16) // divisor) for side in SIDES]


def test_divisors_of_the_domain_leave_no_rounding():
    assert floor_div(I_g, 16) == ceil_div(I_g, 16) == I_g / 16
    assert ceil_div(ceil_div(I_g, 16), 4) == I_g / 64
    assert floor_div(D, 2) == D / 2
    assert ceil_div(6 * B * S, 3) == 2 * B * S


def test_other_divisors_do():
    assert floor_div(I_g, 128).has(sp.floor)
    assert ceil_div(I_g / 16, 14).has(sp.ceiling)
    assert floor_div(n, 2).has(sp.floor)


def test_no_helper_symbol_is_left_behind():
    for formula in (floor_div(I_g + D, 128), ceil_div(I_t, 48), floor_div(I_g, P)):
        assert formula.free_symbols <= {I_g, I_t, D, P}


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_division_of_any_sizes(size, by):
    point = {n: size, M: by}
    assert evaluate(floor_div(n, M), point) == size // by
    assert evaluate(ceil_div(n, M), point) == -(-size // by)
    assert floor_div(size, by) == size // by
    assert ceil_div(size, by) == -(-size // by)


@given(st.integers(1, 500), st.integers(1, 500))
def test_differs_is_one_where_sizes_differ(a, b):
    assert evaluate(differs(n, n_0), {n: a, n_0: b}) == (a != b)
    assert differs(a, b) == (a != b)
    assert evaluate(differs(n, b), {n: a}) == (a != b)


@pytest.mark.parametrize("side", SIDES)
def test_differs_of_a_part_of_a_size(side):
    """A fraction of a pixel's side is still compared exactly: 0 or 1, nothing between."""
    assert evaluate(differs(I_g / 16, 64), {I_g: side}) == (side != 1024)
    assert evaluate(differs(I_g / 64, 16), {I_g: side}) == (side != 1024)
    assert evaluate(differs(I_g / 32, 30), {I_g: side}) == (side != 960)


def test_differs_of_the_same_size_is_zero():
    assert differs(n, n) == 0
    assert differs(2 * n + 1, 1 + n + n) == 0


@given(st.integers(0, 9), st.integers(0, 9))
def test_positive_is_one_where_there_is_something(columns, rows):
    assert evaluate(positive(CROPS), {n_w: columns, n_h: rows}) == (columns * rows > 0)
    assert positive(columns) == (columns > 0)


@pytest.mark.parametrize("size", ["S", "2", "", 1.0, 0.5, True, False, None, (1,), 2j])
def test_only_integers_and_formulas_are_sizes(size):
    with pytest.raises(DomainError, match="neither an integer nor a formula"):
        as_expr(size)
    with pytest.raises(DomainError):
        floor_div(size, 2)
    with pytest.raises(DomainError):
        ceil_div(4, size)


def test_integers_and_formulas_are():
    assert as_expr(3) == sp.Integer(3)
    assert as_expr(B * S) == B * S
    assert as_expr(10**30) == 10**30


def test_text_is_never_evaluated():
    with pytest.raises(DomainError):
        as_expr("__import__('os').getcwd()")


@pytest.mark.parametrize("name", CATALOGUE)
class TestCatalogue:
    def test_a_symbol_carries_its_domain(self, name):
        info = CATALOGUE[name]
        symbol = info.symbol
        assert (symbol.name, info.name) == (name, name)
        assert info_of(symbol) is info
        assert bool(symbol.is_integer) == info.integer
        assert symbol.is_nonnegative
        assert bool(symbol.is_positive) == (info.minimum > 0)

    def test_a_symbol_is_explained(self, name):
        info = CATALOGUE[name]
        assert info.latex
        assert info.meaning
        assert info.unit

    def test_the_smallest_value_is_allowed_and_none_below(self, name):
        info = CATALOGUE[name]
        smallest = info.multiple_of if info.minimum else 0
        info.check(smallest if info.integer else Fraction(1, 10**9))
        with pytest.raises(DomainError, match=info.domain):
            info.check(smallest - 1 if info.integer else 0)

    def test_the_value_between_is_refused(self, name):
        info = CATALOGUE[name]
        between = Fraction(2 * info.multiple_of + 1, 2) if info.integer else Fraction(-1, 2)
        with pytest.raises(DomainError, match="allowed: a "):
            info.check(between)


@pytest.mark.parametrize(
    ("symbol", "domain"),
    [
        (B, "positive integer"),
        (K, "non-negative integer"),
        (n_w, "non-negative integer"),
        (I_g, "positive multiple of 64"),
        (D, "positive multiple of 2"),
        (w_a, "positive rational"),
    ],
)
def test_domains_in_words(symbol, domain):
    assert info_of(symbol).domain == domain


@pytest.mark.parametrize("foreign", [sp.Symbol("S"), sp.Symbol("x", positive=True)])
def test_a_foreign_symbol_has_no_meaning(foreign):
    with pytest.raises(DomainError, match=f"{foreign} is not declared .* use one of B, S, K"):
        info_of(foreign)


def test_names_are_unique_and_are_the_variables():
    assert len({info.symbol for info in CATALOGUE.values()}) == len(CATALOGUE)
    for name, info in CATALOGUE.items():
        assert getattr(symcost.symbols, name) is info.symbol


def called(node: ast.AST) -> str:
    """The last name of what a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def test_no_other_file_creates_symbols():
    makers = {"Symbol", "symbols", "Dummy", "Wild", "sympify", "parse_expr"}
    package = Path(symcost.__file__).parent
    calls = {
        (str(path.relative_to(package)), called(node))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if called(node) in makers
    }
    assert calls == {("symbols.py", "Symbol")}
