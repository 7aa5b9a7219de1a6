"""Changes of formulas: what is told against two sides that are written down independently."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symcost
from symcost.cost import MACS, Cost, Direction, Entry, Storage, Traffic
from symcost.exact import Evaluator
from symcost.insight.changes import (
    COMPARED,
    WORK,
    Kind,
    effects,
    operator_changes,
    part_changes,
    parts_of,
    side_of,
)
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.symbols import B, I_g, I_t, K, S, U, n_h, n_w, w_a, w_kv, w_w
from symcost.tensor import Kind as Tensor

READ = Traffic(Tensor.WEIGHT, Direction.READ)
RESOURCES = {
    "matrix_flops": (MACS, 2),
    "bytes_read": (READ, 1),
    "kv_bytes": (Storage(Tensor.KV), 1),
}
ledgers = st.dictionaries(
    st.tuples(st.sampled_from(["a.q", "a.k", "b", "b.c"]), st.sampled_from(list(RESOURCES))),
    st.tuples(st.integers(0, 2), st.integers(0, 9)),
    max_size=6,
)
"""Coefficients of B and S by path and metric: what costs and expected values are both made of."""


def stages_from(ledger):
    part = Cost(
        tuple(
            Entry(path, RESOURCES[metric][0], b * B + s * S + B * S)
            for (path, metric), (b, s) in ledger.items()
        )
    )
    return {"prefill": Cost.together(decoder=part)}


def value_of(ledger, path, metric, b, s):
    if (path, metric) not in ledger:
        return 0
    first, second = ledger[path, metric]
    return RESOURCES[metric][1] * (first * b + second * s + b * s)


def check(changes, old, new):
    """Every difference, and no other, is told: before + difference is after at all points."""
    told = {(change.path, change.metric): change for change in changes}
    assert len(told) == len(changes)
    for path, metric in {*old, *new}:
        change = told.pop((path, metric), None)
        for b, s in ((1, 1), (2, 5), (7, 3)):
            before, after = (value_of(side, path, metric, b, s) for side in (old, new))
            if change is None:
                assert before == after
                continue
            value = Evaluator({B: b, S: s})
            assert value(change.before) == before
            assert value(change.after) == after
            assert before + value(change.difference) == after
    assert not told


def changes_between(old, new):
    before, after = side_of(stages_from(old)), side_of(stages_from(new))
    return operator_changes(before.operators, after.operators)


@given(ledgers, ledgers)
def test_before_and_difference_are_after(old, new):
    changes = changes_between(old, new)
    check(changes, old, new)
    for change in changes:
        here = any(path == change.path for path, _ in old)
        there = any(path == change.path for path, _ in new)
        expected = Kind.CHANGED if here and there else Kind.APPEARS if there else Kind.DISAPPEARS
        assert change.kind is expected


@given(ledgers, ledgers)
def test_a_part_changes_by_what_its_operators_change_by(old, new):
    before, after = side_of(stages_from(old)), side_of(stages_from(new))
    parts = part_changes(before.parts, after.parts)
    by_operators = dict.fromkeys(COMPARED, sp.S.Zero)
    for change in operator_changes(before.operators, after.operators):
        by_operators[change.metric] += change.difference
    found = {change.metric: change.difference for change in parts}
    assert found == {m: d for m, d in by_operators.items() if sp.expand(d) != 0}


@given(ledgers)
def test_the_same_costs_do_not_differ(ledger):
    assert changes_between(ledger, dict(reversed(ledger.items()))) == []


def test_the_comparison_refuses_changes_that_are_wrong():
    old, new = {("b", "bytes_read"): (1, 2)}, {("b", "bytes_read"): (1, 3)}
    (right,) = changes_between(old, new)
    check([right], old, new)
    for wrong in (
        [],
        [right, replace(right, path="a.q")],
        [replace(right, after=right.after + B)],
        [replace(right, before=right.after, after=right.before)],
    ):
        with pytest.raises(AssertionError):
            check(wrong, old, new)


def layers(*numbers):
    macs = {
        f"model.layers.{n}.mlp": Entry(f"model.layers.{n}.mlp", MACS, sp.Integer(count))
        for n, count in numbers
    }
    return side_of({"prefill": Cost.together(decoder=Cost(tuple(macs.values())))}).operators


def test_more_layers_are_a_change_and_no_other_operator():
    (change,) = operator_changes(layers(("1-11", 11)), layers(("1-23", 23)))
    assert (change.kind, change.was, change.path) == (
        Kind.CHANGED,
        "model.layers.1-11.mlp",
        "model.layers.1-23.mlp",
    )
    assert change.shown_path == "model.layers.1-11→1-23.mlp"
    assert change.difference == 24


def test_layers_are_matched_by_their_numbers_before_anything_else():
    changes = operator_changes(layers(("0", 5), ("1-3", 9)), layers(("1-3", 9), ("4", 7)))
    assert [(c.was, c.path, c.difference) for c in changes] == [
        ("model.layers.0.mlp", "model.layers.4.mlp", 4)
    ]
    changes = operator_changes(layers(("0", 5), ("1-3", 9)), layers(("1-3", 9)))
    assert [(c.kind, c.path) for c in changes] == [(Kind.DISAPPEARS, "model.layers.0.mlp")]


def test_a_part_that_is_on_one_side_only_appears_whole():
    one = {"prefill": Cost.together(decoder=Cost.of("a", macs=S))}
    both = {**one, "vision": Cost.together(sam=Cost.of("b", macs=3 * B))}
    (part,) = part_changes(parts_of(one), parts_of(both))
    assert (part.where, part.kind, part.difference) == ("vision / sam", Kind.APPEARS, 6 * B)


def test_the_vision_of_a_prefill_is_told_once():
    vision = Cost.together(sam=Cost.of("b", macs=B))
    stages = {"vision": vision, "prefill": Cost.together(vision=vision, decoder=Cost.of("a"))}
    assert list(side_of(stages).operators) == ["vision / sam", "prefill / decoder"]


@cache
def symbolic(**options):
    model = symcost.load(
        "deepseek-ocr", widths=Widths.SYMBOLIC, routing=Routing.SYMBOLIC, **options
    )
    return symbolic_stages(model)


@pytest.mark.parametrize("changed", [{"reference": "transformers"}, {"execution": "fused"}])
def test_of_the_model_operators_add_to_parts(changed):
    before, after = side_of(symbolic()), side_of(symbolic(**changed))
    sums = {}
    for change in operator_changes(before.operators, after.operators):
        sums.setdefault((change.where, change.metric), []).append(change.difference)
    parts = part_changes(before.parts, after.parts)
    assert parts
    totals = {key: sp.expand(sp.Add(*terms)) for key, terms in sums.items()}
    assert {(c.where, c.metric): c.difference for c in parts} == {
        key: total for key, total in totals.items() if total != 0
    }


@settings(max_examples=3)
@given(st.integers(1, 5), st.integers(1, 30), st.integers(0, 2), st.integers(1, 4))
def test_of_the_model_differences_are_those_of_costs_in_numbers(batch, tokens, grid, side):
    """Against each reference's own model, built for numbers and asked at each path."""
    views = symcost.models.deepseek_ocr.geometry.Views(64 * side, 640, 2 * grid, grid)
    stages = {}
    for name in ("vendor", "transformers"):
        model = symcost.load("deepseek-ocr", reference=name, views=views)
        model.start_vision(batch)
        stages[name] = model.get_forward_cost()
    point = {
        B: batch,
        S: tokens,
        K: 3,
        U: 7,
        I_g: 64 * side,
        I_t: 640,
        n_w: 2 * grid,
        n_h: grid,
        w_w: 2,
        w_a: 2,
        w_kv: 2,
    }
    value = Evaluator(point)
    before, after = side_of(symbolic()), side_of(symbolic(reference="transformers"))
    told = {
        (c.path, c.metric): value(c.difference)
        for c in operator_changes(before.operators, after.operators, WORK)
        if c.where.startswith("vision")
    }
    old, new = stages.values()
    paths = {path for path in (*old.paths, *new.paths) if "interpolate" in path or "mlp" in path}
    for path in paths:
        for metric in WORK:
            difference = new.at(path).figure(metric) - old.at(path).figure(metric)
            assert told.get((path, metric), 0) == difference
    assert any(told.values())


def test_effects_have_exact_ratios():
    before = {"prefill": {"flops": 6, "kv_bytes": 0}, "vision": {"flops": 1}}
    after = {"prefill": {"flops": 4, "kv_bytes": 5}}
    flops, cache_ = effects(before, after)
    assert (flops.difference, flops.ratio) == (-2, Fraction(2, 3))
    assert (cache_.difference, cache_.ratio) == (5, None)
