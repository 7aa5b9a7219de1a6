"""The JSON tree: an exact way there and back, and a whitelist that nothing else passes."""

from __future__ import annotations

import json

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import DomainError
from symcost.export.json_tree import decode, encode
from symcost.models import load
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.symbols import CATALOGUE, B, K, S, ceil_div, differs, floor_div, positive, w_kv

SYMBOLS = [info.symbol for info in CATALOGUE.values()]
LEAVES = st.one_of(
    st.integers(-(10**30), 10**30).map(sp.Integer),
    st.fractions().map(lambda f: sp.Rational(f.numerator, f.denominator)),
    st.sampled_from(SYMBOLS),
)
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda terms: sp.Add(*terms)),
        st.lists(inner, min_size=2, max_size=4).map(lambda factors: sp.Mul(*factors)),
        st.tuples(inner, st.integers(2, 5)).map(lambda pair: pair[0] ** pair[1]),
        st.tuples(st.sampled_from(SYMBOLS), st.integers(2, 300)).map(lambda p: ceil_div(*p)),
        st.tuples(st.sampled_from(SYMBOLS), st.integers(2, 300)).map(lambda p: floor_div(*p)),
        st.sampled_from(SYMBOLS).map(positive),
        st.tuples(st.sampled_from(SYMBOLS[:8]), st.integers(1, 2000)).map(lambda p: differs(*p)),
    ),
    max_leaves=8,
)


@given(FORMULAS)
def test_there_and_back_is_the_same_formula(formula):
    assert decode(json.loads(json.dumps(encode(formula)))) == formula


@pytest.mark.parametrize("execution", ["eager", "fused", "ideal"])
def test_every_formula_of_the_model_comes_back(execution):
    model = load(
        "deepseek-ocr", execution=execution, widths=Widths.SYMBOLIC, routing=Routing.SYMBOLIC
    )
    for cost in symbolic_stages(model).values():
        for quantity in cost.values():
            assert decode(encode(quantity.amount)) == quantity.amount


def test_the_tree_is_explicit():
    assert encode(3 * B * S**2 / 2 + sp.Min(64, 6 * B)) == [
        "+",
        ["*", ["/", 3, 2], "B", ["^", "S", 2]],
        ["min", ["*", 6, "B"], 64],
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        {},
        [],
        "x",
        "__import__('os')",
        "E + 1",
        ["eval", "B"],
        ["+", "B"],
        ["^", "B", 2, 3],
        ["^", 9, 999_999_999],
        ["^", 9, ["^", 9, 9]],
        ["^", "B", -65],
        ["^", ["^", ["^", "S", 64], 64], 64],
        ["^", ["*", ["^", "S", 64], "B"], 2],
        ["^", ["+", ["^", "S", 64], 1], 2],
        ["abs", "B", "S"],
        ["/", 1, 0],
        ["/", "B", 2],
        ["/", 1, True],
        [["+"], 1, 2],
        ["+", 1, ["lambda", 2]],
    ],
)
def test_what_is_no_formula(value):
    with pytest.raises(DomainError):
        decode(value)


def test_what_has_no_place_in_the_tree():
    with pytest.raises(DomainError, match="sin"):
        encode(sp.sin(K) + w_kv)
    with pytest.raises(DomainError, match="not declared"):
        encode(sp.Symbol("S") + 1)
