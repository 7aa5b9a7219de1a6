"""The algebra of costs, quantities that refuse to mix, and the figures of a report."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symcost.cost import (
    MACS,
    RESOURCES,
    VECTOR_FLOPS,
    Cost,
    Direction,
    Entry,
    Quantity,
    StageCost,
    Storage,
    Traffic,
    Unit,
)
from symcost.errors import DomainError, UnboundSymbolError, UnitError
from symcost.exact import evaluate
from symcost.symbols import B, C, I_g, K, S, w_a, w_w
from symcost.tensor import Kind

READ = Traffic(Kind.ACTIVATION, Direction.READ)
WRITTEN = Traffic(Kind.ACTIVATION, Direction.WRITTEN)
WEIGHTS, LIVE, CACHE = (Storage(kind) for kind in (Kind.WEIGHT, Kind.ACTIVATION, Kind.KV))
SPENT = tuple(resource for resource in RESOURCES if not isinstance(resource, Storage))
FIGURES = (
    "macs",
    "vector_flops",
    "bytes_read",
    "bytes_written",
    "weight_bytes",
    "activation_bytes",
    "kv_bytes",
)


def amounts(cost: Cost) -> dict:
    return {resource: cost[resource].amount for resource in cost}


def distinct(cost: Cost, name: str) -> Cost:
    """The same cost under a path of its own."""
    return Cost(tuple(Entry(f"{name}.{e.path}", e.resource, e.amount) for e in cost.entries))


sizes = st.integers(0, 10**12) | st.sampled_from([B, S, B * S, 2 * B + S * K, B * S**2 + 3])
costs = st.builds(
    Cost.of,
    st.sampled_from(["attention", "mlp", "mlp.up"]),
    **dict.fromkeys(FIGURES, sizes),
)
numeric_costs = st.builds(
    Cost.of,
    st.sampled_from(["attention", "mlp", "mlp.up"]),
    **{figure: st.integers(0, 10**12) for figure in FIGURES},
)


class TestAlgebra:
    @given(costs, costs)
    def test_addition_commutes(self, a, b):
        assert a + b == b + a

    @given(costs, costs, costs)
    def test_addition_associates(self, a, b, c):
        assert (a + b) + c == a + (b + c)

    @given(costs)
    def test_nothing_is_the_zero_element(self, a):
        assert a + Cost() == a
        assert Cost() + a == a

    def test_nothing_costs_nothing(self):
        assert set(amounts(Cost()).values()) == {0}
        assert Cost().intensity == 0.0

    @given(numeric_costs, numeric_costs)
    def test_equality_tells_costs_apart(self, a, b):
        assert (a == b) == all(getattr(a, name) == getattr(b, name) for name in FIGURES)

    @pytest.mark.parametrize("figure", FIGURES)
    def test_equality_looks_at_every_figure(self, figure):
        ones = dict.fromkeys(FIGURES, 1)
        assert Cost.of(**ones) != Cost.of(**ones | {figure: 2})

    def test_equality_is_that_of_formulas(self):
        assert Cost.of(macs=B * (S + 1)) == Cost.of(macs=B * S + B)
        assert Cost.of(macs=B * S) != Cost.of(macs=B * S + B)
        assert Cost() != 0

    @given(costs, costs)
    def test_work_and_traffic_add(self, a, b):
        for resource in SPENT:
            total = (a + b)[resource].amount
            assert sp.expand(total - a[resource].amount - b[resource].amount) == 0

    @given(numeric_costs, st.integers(1, 6))
    def test_scaling_is_repeated_addition_of_layers_of_different_names(self, a, count):
        summed = Cost()
        for i in range(count):
            summed += distinct(a, f"layers.{i}")
        scaled = count * a
        for resource in SPENT:
            assert scaled[resource] == summed[resource]
        # Each of equal layers has weights and a cache of its own; one is live at a time.
        assert (scaled.weight_bytes, scaled.kv_bytes) == (summed.weight_bytes, summed.kv_bytes)
        assert scaled.activation_bytes == summed.activation_bytes == a.activation_bytes

    @given(costs, costs, st.integers(0, 10**6) | st.just(C))
    def test_scaling_distributes_over_addition(self, a, b, count):
        b = distinct(b, "other")
        assert count * (a + b) == count * a + count * b
        assert (a + b) * count == count * (a + b)

    @given(costs, st.integers(0, 99), st.integers(0, 99))
    def test_counts_of_layers_add(self, a, first, second):
        whole, parts = (first + second) * a, first * a + second * distinct(a, "other")
        for resource in (*SPENT, WEIGHTS, CACHE):
            assert sp.expand(whole[resource].amount - parts[resource].amount) == 0

    @given(costs, costs, costs)
    def test_parts_sum_to_the_whole(self, a, b, c):
        whole = Cost.together(first=a, second=b, third=c)
        assert whole == a + b + c
        assert dict(whole.parts) == {"first": a, "second": b, "third": c}

    @given(costs, costs, st.integers(1, 9))
    def test_parts_scale_with_the_whole(self, a, b, count):
        whole = count * Cost.together(first=a, second=b)
        assert whole.parts["first"] == count * a
        assert whole.parts["second"] == count * b

    @pytest.mark.parametrize("other", [3, 0, None, "cost", Quantity(B, Unit.MACS, MACS)])
    def test_only_costs_are_added_to_costs(self, other):
        with pytest.raises(UnitError, match="a cost adds to a cost"):
            Cost() + other

    @pytest.mark.parametrize("count", ["3", 1.5, True, None])
    def test_only_counts_scale(self, count):
        with pytest.raises(DomainError, match="neither an integer nor a formula"):
            Cost.of(macs=1) * count


class TestHolding:
    def test_shared_weights_count_once(self):
        tower = Cost.of("vision.proj", macs=5, weight_bytes=100, kv_bytes=10)
        both = tower + tower  # the global view and the tiles run through the same weights
        assert (both.macs, both.weight_bytes, both.kv_bytes) == (10, 100, 10)

    def test_weights_of_different_names_add(self):
        both = Cost.of("q_proj", weight_bytes=100) + Cost.of("k_proj", weight_bytes=30)
        assert both.weight_bytes == 130

    def test_weights_that_a_stage_uses_more_of_count_at_most(self):
        both = Cost.of("table", weight_bytes=B) + Cost.of("table", weight_bytes=S)
        assert both.evaluate({B: 3, S: 5}).weight_bytes == 5
        assert both.evaluate({B: 7, S: 5}).weight_bytes == 7

    def test_live_activations_take_the_maximum(self):
        parts = [Cost.of(name, activation_bytes=n) for name, n in (("a", 3), ("b", 9), ("c", 4))]
        assert (parts[0] + parts[1] + parts[2]).activation_bytes == 9

    def test_the_maximum_of_formulas_is_decided_at_the_point(self):
        peak = Cost.of("a", activation_bytes=100 * B) + Cost.of("b", activation_bytes=B * S)
        assert peak.evaluate({B: 2, S: 7}).activation_bytes == 200
        assert peak.evaluate({B: 2, S: 700}).activation_bytes == 1400

    @given(
        st.lists(
            st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
            min_size=1,
            max_size=6,
        ),
        st.integers(1, 20),
        st.integers(1, 20),
    )
    def test_the_formula_of_the_peak_is_the_maximum_at_every_point(self, terms, batch, tokens):
        peak = Cost()
        for i, (a, b, c) in enumerate(terms):
            peak += Cost.of(f"kernel {i}", activation_bytes=a * B + b * S + c * B * S)
        formula = sp.sympify(peak.activation_bytes)
        by_hand = max(a * batch + b * tokens + c * batch * tokens for a, b, c in terms)
        assert evaluate(formula, {B: batch, S: tokens}) == by_hand

    def test_a_formula_that_another_one_always_exceeds_is_left_out(self):
        peak = Cost.of("a", activation_bytes=B * S) + Cost.of("b", activation_bytes=2 * B * S + 5)
        assert peak.activation_bytes == 2 * B * S + 5

    def test_moments_keep_the_order_of_the_pass(self):
        cost = Cost.of("a", activation_bytes=3) + Cost.of("b", activation_bytes=1)
        assert cost.moments == (("a", 3), ("b", 1))


class TestQuantities:
    @given(st.integers(0, 10**30), st.integers(0, 10**30))
    def test_like_quantities_add(self, a, b):
        total = Quantity(sp.Integer(a), Unit.BYTES, READ) + Quantity(
            sp.Integer(b), Unit.BYTES, READ
        )
        assert total == Quantity(sp.Integer(a + b), Unit.BYTES, READ)

    def test_live_activations_take_the_maximum(self):
        low, high = (Quantity(sp.Integer(n), Unit.BYTES, LIVE) for n in (3, 5))
        assert (low + high).amount == 5

    @pytest.mark.parametrize(
        ("a", "b", "names"),
        [
            (MACS, VECTOR_FLOPS, ("matrix", "vector")),
            (READ, WRITTEN, ("read", "written")),
            (WEIGHTS, CACHE, ("weights", "kv")),
            (WEIGHTS, Traffic(Kind.WEIGHT, Direction.READ), ("Storage", "Traffic")),
            (MACS, READ, ("matrix", "activations")),
        ],
    )
    def test_unlike_quantities_are_refused_and_both_named(self, a, b, names):
        cost = Cost.of(macs=1, vector_flops=1, bytes_read=1, bytes_written=1)
        for first, second in ((a, b), (b, a)):
            with pytest.raises(UnitError) as error:
                cost[first] + cost[second]
            assert all(name in str(error.value) for name in names)

    @pytest.mark.parametrize("other", [0, 1, Fraction(1, 2), "MACs"])
    def test_bare_numbers_are_refused(self, other):
        quantity = Cost.of(macs=1)[MACS]
        with pytest.raises(UnitError, match="cannot be added"):
            quantity + other
        with pytest.raises(UnitError, match="cannot be added"):
            other + quantity

    @pytest.mark.parametrize(
        ("resource", "unit"),
        [(MACS, "MACs"), (VECTOR_FLOPS, "FLOPs"), (READ, "bytes"), (LIVE, "bytes")],
    )
    def test_units(self, resource, unit):
        assert Cost()[resource].unit == unit


class TestFrozen:
    def test_a_cost_cannot_be_changed(self):
        cost = Cost.of(macs=1)
        with pytest.raises(FrozenInstanceError):
            cost.entries = ()
        with pytest.raises(TypeError):
            cost[MACS] = cost[MACS]
        with pytest.raises(FrozenInstanceError):
            cost.entries[0].amount = sp.Integer(2)
        with pytest.raises(FrozenInstanceError):
            cost[MACS].amount = sp.Integer(2)

    def test_adding_and_scaling_leave_the_operands_as_they_were(self):
        a, b = Cost.of("a", macs=1), Cost.of("b", macs=10)
        whole = Cost.together(a=a, b=b)
        _ = a + b, 7 * whole, whole.bind({B: 3})
        assert (a.macs, b.macs, whole.macs, whole.parts["a"].macs) == (1, 10, 11, 1)

    def test_a_cost_maps_every_resource(self):
        cost = Cost.of(macs=3)
        assert tuple(cost) == RESOURCES
        assert len(cost) == len(RESOURCES) == 2 + 2 * len(Kind) + len(Kind)
        with pytest.raises(KeyError):
            cost["macs"]


class TestFigures:
    COST = Cost.of(macs=10, vector_flops=7, bytes_read=100, bytes_written=8)

    def test_a_multiply_accumulate_is_two_flops(self):
        assert (self.COST.matrix_flops, self.COST.flops) == (20, 27)

    def test_bytes_moved_and_intensity(self):
        assert self.COST.bytes_moved == 108
        assert self.COST.intensity == 27 / 108

    def test_traffic_of_all_kinds_is_in_the_bytes(self):
        resources = [Traffic(kind, way) for way in Direction for kind in Kind]
        entries = [Entry("x", resource, sp.Integer(2**i)) for i, resource in enumerate(resources)]
        cost = Cost(tuple(entries))
        ones = 2 ** len(Kind) - 1  # a bit for each kind
        assert (cost.bytes_read, cost.bytes_written) == (ones, ones << len(Kind))

    def test_numbers_are_python_integers_and_formulas_stay_formulas(self):
        assert type(self.COST.macs) is int
        assert Cost.of(macs=B * S).flops == 2 * B * S
        assert Cost.of(macs=B * S, bytes_read=4 * B).intensity == S / 2

    def test_shares_are_told_by_module_path(self):
        cost = Cost.of("model.a", macs=1) + Cost.of("model.a.b", macs=10)
        cost += Cost.of("model.ab", macs=100)
        assert [cost.at(p).macs for p in ("model.a", "model.a.b", "model", "")] == [
            11,
            10,
            111,
            111,
        ]
        assert cost.at("other") == Cost()
        assert cost.paths == ("model.a", "model.a.b", "model.ab")


class TestBinding:
    @given(costs, st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
    def test_binding_everything_is_evaluating(self, cost, batch, tokens, cached):
        point = {B: batch, S: tokens, K: cached}
        assert amounts(cost.bind(point)) == amounts(cost.evaluate(point))

    @given(costs, st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
    def test_binding_one_after_the_other_is_evaluating(self, cost, batch, tokens, cached):
        step_by_step = cost.bind({S: tokens}).bind({B: batch, K: cached})
        assert amounts(step_by_step) == amounts(cost.evaluate({B: batch, S: tokens, K: cached}))

    def test_symbols_are_replaced_all_at_once(self):
        cost = Cost.of(macs=S + 10 * K, vector_flops=S)
        swapped = cost.bind({S: K, K: S})
        assert (swapped.macs, swapped.vector_flops) == (K + 10 * S, K)

    def test_symbols_are_replaced_by_formulas(self):
        cost = Cost.of(macs=B * S).bind({S: K + 1, B: 2})
        assert sp.expand(cost.macs - (2 * K + 2)) == 0

    def test_parts_are_bound_with_the_whole(self):
        whole = Cost.together(a=Cost.of("a", macs=B), b=Cost.of("b", macs=S))
        bound = whole.bind({B: 3})
        assert (bound.parts["a"].macs, bound.parts["b"].macs) == (3, S)

    def test_binding_leaves_no_symbol_and_its_numbers_are_exact(self):
        cost = Cost.of(macs=B * S**3, bytes_read=B * w_a).evaluate(
            {B: 3, S: 10**9, w_a: Fraction(1, 2)}
        )
        assert cost.free_symbols == frozenset()
        assert (cost.macs, cost.bytes_read) == (3 * 10**27, Fraction(3, 2))
        assert type(cost.macs) is int

    def test_free_symbols(self):
        assert Cost.of(macs=B * S, weight_bytes=w_w).free_symbols == {B, S, w_w}

    def test_evaluating_needs_a_value_for_every_symbol(self):
        with pytest.raises(UnboundSymbolError, match=r"^S \(tokens .*has no value"):
            Cost.of(macs=B * S).evaluate({B: 2})

    @pytest.mark.parametrize("point", [{B: 0}, {I_g: 100}, {K: -1}, {B: 2, S: 1.5}])
    def test_values_outside_a_domain_are_refused(self, point):
        cost = Cost.of(macs=B * S * I_g + K)
        with pytest.raises(DomainError, match="allowed: a "):
            cost.bind(point)


class TestStageCost:
    COST = StageCost(
        Cost.of(
            macs=2 * 10**12,
            vector_flops=5 * 10**11,
            bytes_read=3 * 10**12,
            bytes_written=10**12,
            weight_bytes=6 * 10**9,
            activation_bytes=25 * 10**8,
            kv_bytes=125 * 10**6,
        ).entries
    )

    @pytest.mark.parametrize(
        ("figure", "value"),
        [
            ("flops_tflops", 4.5),  # 2 x 2 + 0.5
            ("io_tb", 4.0),  # 3 + 1
            ("weights_gb", 6.0),
            ("activations_gb", 2.5),
            ("kv_gb", 0.125),
            ("arithmetic_intensity", 1.125),  # 4.5 / 4
        ],
    )
    def test_units_of_a_report(self, figure, value):
        assert getattr(self.COST, figure) == value
        assert type(getattr(self.COST, figure)) is float

    def test_the_split_of_flops(self):
        assert self.COST.matrix_flops == 4 * 10**12
        assert self.COST.vector_flops == 5 * 10**11

    def test_formulas_stay_formulas(self):
        cost = StageCost(Cost.of(macs=B * S, kv_bytes=K).entries)
        assert cost.flops_tflops == 2 * B * S / 10**12
        assert cost.kv_gb == K / 10**9

    def test_a_stage_that_runs_nothing_has_no_intensity(self):
        assert StageCost().arithmetic_intensity == 0.0
