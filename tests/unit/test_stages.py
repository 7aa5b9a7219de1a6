"""Stages: sums over decode steps against the loop that they stand for, caches, layers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from functools import cache

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symcost
from symcost.cost import RESOURCES, Cost, Storage
from symcost.errors import DomainError, InputError
from symcost.execution import Execution
from symcost.graph import Graph
from symcost.operators import gelu, linear
from symcost.stages import FixedLayer, GraphLayer, Stage, SyntheticKVCache, over_tokens
from symcost.symbols import B, F, H, K, T, w_a, w_w
from symcost.tensor import Kind

SPENT = [resource for resource in RESOURCES if not isinstance(resource, Storage)]
HELD = [Storage(kind) for kind in Kind]

STEP = Cost.of(
    "decoder",
    macs=B * (7 * K + 11),
    vector_flops=5 * K + B,
    bytes_read=B * K,
    bytes_written=13,
    weight_bytes=1000,
    activation_bytes=17 * B + K,
    kv_bytes=B * (K + 1) * 3,
)
"""One decode step on K cached tokens, affine in K."""


def loop(step: Cost, batch: int, cached: int, tokens: int) -> dict:
    """Every step by itself: what is spent adds up, what is held is that of the last step."""
    steps = [step.evaluate({B: batch, K: cached + i}) for i in range(tokens)]
    spent = {resource: sum(s[resource].amount for s in steps) for resource in SPENT}
    return spent | {resource: steps[-1][resource].amount for resource in HELD}


def values(cost: Cost) -> dict:
    return {resource: cost[resource].amount for resource in RESOURCES}


@cache
def real_step(execution: Execution) -> Cost:
    """A decode step of the published model."""
    model = symcost.load("deepseek-ocr", execution=execution)
    model.start_decode(SyntheticKVCache(B, K))
    return model.get_forward_cost()


class TestOverTokens:
    @given(st.integers(1, 64), st.integers(0, 10**6), st.integers(1, 80))
    def test_the_closed_form_is_the_loop(self, batch, cached, tokens):
        closed = over_tokens(STEP, T).evaluate({B: batch, K: cached, T: tokens})
        assert values(closed) == loop(STEP, batch, cached, tokens)

    @given(st.integers(1, 8), st.integers(0, 1000), st.integers(1, 20))
    def test_a_number_of_tokens_is_taken_too(self, batch, cached, tokens):
        closed = over_tokens(STEP, tokens).evaluate({B: batch, K: cached})
        assert values(closed) == loop(STEP, batch, cached, tokens)

    def test_one_token_is_one_step(self):
        assert over_tokens(STEP, 1) == STEP

    def test_by_hand(self):
        # Three steps on 10, 11 and 12 cached tokens of one sequence.
        closed = over_tokens(STEP, T).evaluate({B: 1, K: 10, T: 3})
        assert closed.macs == (70 + 11) + (77 + 11) + (84 + 11)
        assert closed.vector_flops == 51 + 56 + 61
        assert (closed.bytes_read, closed.bytes_written) == (33, 39)
        assert (closed.weight_bytes, closed.kv_bytes, closed.activation_bytes) == (1000, 39, 29)

    @pytest.mark.parametrize("execution", list(Execution))
    @settings(max_examples=8)
    @given(batch=st.integers(1, 70), cached=st.integers(0, 5000), tokens=st.integers(1, 15))
    def test_of_the_real_model(self, execution, batch, cached, tokens):
        step = real_step(execution)
        closed = over_tokens(step, T).evaluate({B: batch, K: cached, T: tokens})
        assert values(closed) == loop(step, batch, cached, tokens)

    def test_parts_are_summed_with_the_whole(self):
        whole = Cost.together(decoder=STEP, lm_head=Cost.of("lm_head", macs=B))
        summed = over_tokens(whole, T)
        assert summed.parts["decoder"] == over_tokens(STEP, T)
        assert summed.parts["lm_head"].macs == B * T

    @pytest.mark.parametrize("macs", [K**2, B * K**3, 1 / (K + 1), sp.Max(K, 7), sp.floor(K / 2)])
    def test_what_is_not_affine_is_refused(self, macs):
        with pytest.raises(DomainError, match=r"decoder.mix costs .* not affine in K"):
            over_tokens(Cost.of("decoder.mix", macs=macs), T)


class TestCache:
    def test_a_token_makes_it_longer_and_leaves_the_old_one(self):
        cache = SyntheticKVCache(batch_size=2, length=10)
        assert cache.appended(5) == SyntheticKVCache(2, 15)
        assert cache == SyntheticKVCache(2, 10)

    def test_it_is_empty_unless_said_otherwise(self):
        assert (SyntheticKVCache().batch_size, SyntheticKVCache().length) == (1, 0)

    def test_sizes_may_be_formulas(self):
        cache = SyntheticKVCache(B, K).appended(T).appended(1)
        assert (cache.batch_size, sp.expand(cache.length)) == (B, K + T + 1)

    def test_it_cannot_be_changed(self):
        with pytest.raises(FrozenInstanceError):
            SyntheticKVCache().length = 3


class TestLayers:
    def test_a_fixed_layer_states_what_it_was_given(self):
        layer = FixedLayer(Cost.of(macs=1), Cost.of(macs=10))
        assert (layer.get_forward_cost().macs, layer.get_backward_cost().macs) == (1, 10)
        assert FixedLayer(Cost.of(macs=1)).get_backward_cost() == Cost()

    @staticmethod
    def graph() -> Graph:
        graph = Graph()
        g = graph.root / "mlp"
        at = g.fused("both")
        made = linear(at / "up", graph.input("x", B, H), (at / "up").weight("weight", F, H))
        graph.output(gelu(at / "act", made))
        return graph

    def test_a_layer_of_a_graph_reads_its_costs_off(self):
        layer = GraphLayer(self.graph())
        assert layer.get_forward_cost().macs == B * H * F
        assert layer.get_forward_cost().vector_flops == 5 * B * F
        assert layer.get_backward_cost().macs == 2 * B * H * F

    @pytest.mark.parametrize(
        ("execution", "between"),
        [(Execution.EAGER, 2), (Execution.FUSED, 0), (Execution.IDEAL, 0)],
    )
    def test_the_execution_decides_what_crosses(self, execution, between):
        cost = GraphLayer(self.graph(), execution).get_forward_cost()
        # x and the weight come in, the result goes out; what lies between is written and read.
        expected = B * H * w_a + F * H * w_w + B * F * w_a * (1 + between)
        assert sp.expand(cost.bytes_moved - expected) == 0

    def test_an_execution_has_a_name(self):
        named = GraphLayer(self.graph(), "ideal").get_forward_cost()
        assert named == GraphLayer(self.graph(), Execution.IDEAL).get_forward_cost()
        assert named != GraphLayer(self.graph()).get_forward_cost()
        with pytest.raises(InputError, match="execution is 'idle'; allowed: eager, fused, ideal"):
            GraphLayer(self.graph(), "idle")

    def test_parts_are_told_by_their_paths(self):
        layer = GraphLayer(self.graph(), parts={"up": ("mlp.up",), "all": ("mlp.up", "mlp.act")})
        cost = layer.get_forward_cost()
        assert (cost.parts["up"].macs, cost.parts["up"].vector_flops) == (B * H * F, 0)
        assert cost.parts["all"].vector_flops == 5 * B * F


def test_stages_are_named_as_reports_name_them():
    assert [stage.value for stage in Stage] == ["vision", "prefill", "decode"]
