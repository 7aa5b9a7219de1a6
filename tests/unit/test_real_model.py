"""The published model under the root model's contract: identities, formulas and numbers."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symcost
from symcost import (
    Cost,
    DeepseekOCRModel,
    Execution,
    StageCost,
    SyntheticKVCache,
)
from symcost.autodiff import backward
from symcost.cost import RESOURCES, Storage
from symcost.exact import Evaluator
from symcost.execution import saved_bytes
from symcost.graph import Graph
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.decoder import decoder, head
from symcost.models.deepseek_ocr.geometry import SYMBOLIC, Views
from symcost.models.deepseek_ocr.reference import REFERENCES
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.vision import vision
from symcost.models.deepseek_ocr.widths import Widths
from symcost.stages import GraphLayer
from symcost.symbols import ZERO, B, I_g, I_t, K, S, U, n_h, n_w, w_a, w_kv, w_w
from symcost.tensor import Kind
from tests.unit.test_model import figures

EVERYTHING = [(how, name) for how in Execution for name in REFERENCES]
every_model = pytest.mark.parametrize(("execution", "reference"), EVERYTHING)
both_ways = pytest.mark.parametrize("direction", ["forward", "backward"])


@cache
def real(execution: Execution, reference: str) -> DeepseekOCRModel:
    return DeepseekOCRModel.from_config(
        execution=execution, reference=reference, widths=Widths.SYMBOLIC, routing=Routing.SYMBOLIC
    )


def ask(model: DeepseekOCRModel, direction: str) -> StageCost:
    return getattr(model, f"get_{direction}_cost")()


@cache
def stage_cost(stage: str, execution: Execution, reference: str, direction: str) -> StageCost:
    """The cost of a stage for all sizes."""
    model = real(execution, reference)
    start = {
        "vision": lambda: model.start_vision(B),
        "prefill": lambda: model.start_prefill(S, B),
        "decode": lambda: model.start_decode(SyntheticKVCache(B, K)),
    }
    start[stage]()
    return ask(model, direction)


@cache
def part_graph(part: str, reference: str) -> Graph:
    """The graph of a part by itself, built anew."""
    config, named = published(), REFERENCES[reference]
    return {
        "vision": lambda: vision(config, named, SYMBOLIC),
        "decoder": lambda: decoder(config.decoder, named, SYMBOLIC),
        "lm_head": lambda: head(config.decoder, last_only=False),
    }[part]()


@cache
def graph_cost(part: str, execution: Execution, reference: str, direction: str) -> Cost:
    """The cost of a part by itself, with nothing of the model's stages in it."""
    layer = GraphLayer(part_graph(part, reference), execution)
    return layer.get_forward_cost() if direction == "forward" else layer.get_backward_cost()


def saved(part: str, reference: str, direction: str) -> sp.Expr:
    """What is live of a part while the backward pass of a later part runs."""
    return saved_bytes(backward(part_graph(part, reference))) if direction == "backward" else ZERO


def differences(a: Cost, b: Cost) -> dict:
    """In which resources two costs differ for some sizes; live activations moment by moment.

    The order of moments is left out, since parts come one after the other.
    """
    resources = [resource for resource in RESOURCES if resource != Storage(Kind.ACTIVATION)]
    found = {resource: a[resource].amount - b[resource].amount for resource in resources}
    found = {key: difference for key, difference in found.items() if sp.expand(difference) != 0}
    moments, others = Counter(a.moments), Counter(b.moments)
    return found | dict(moments - others) | dict(others - moments)


class TestRealModel:
    @every_model
    @both_ways
    def test_prefill_is_vision_and_decoder_and_head(self, execution, reference, direction):
        """For all sizes: the prefill of S tokens on an empty cache, the vision stage taken away."""
        seen = stage_cost("vision", execution, reference, direction)
        prefill = stage_cost("prefill", execution, reference, direction)
        expected, waiting = seen, saved("vision", reference, direction)
        for part in ("decoder", "lm_head"):
            cost = graph_cost(part, execution, reference, direction).beside(waiting)
            expected += cost.bind({K: sp.Integer(0)})
            waiting += saved(part, reference, direction)
        assert differences(prefill, expected) == {}
        assert seen.macs != 0

    @every_model
    @both_ways
    def test_vision_is_the_tower(self, execution, reference, direction):
        seen = stage_cost("vision", execution, reference, direction)
        tower = graph_cost("vision", execution, reference, direction)
        assert differences(seen, tower) == {}

    @every_model
    @both_ways
    def test_parts_sum_to_their_stage(self, execution, reference, direction):
        for stage, names in (
            ("vision", {"sam", "clip", "projector"}),
            ("prefill", {"vision", "decoder", "lm_head"}),
            ("decode", {"decoder", "lm_head"}),
        ):
            cost = stage_cost(stage, execution, reference, direction)
            assert set(cost.parts) == names
            total = Cost()
            for part in cost.parts.values():
                total += part
            assert differences(cost, total) == {}

    @every_model
    @both_ways
    def test_decode_has_no_vision_in_it(self, execution, reference, direction):
        cost = stage_cost("decode", execution, reference, direction)
        assert not cost.free_symbols & {S, I_g, I_t, n_w, n_h}
        assert cost.free_symbols == {B, K, U, w_w, w_a, w_kv}
        assert not [path for path in cost.paths if "vision" in path or "projector" in path]
        assert "vision" not in cost.parts

    @every_model
    @both_ways
    def test_decode_is_a_prefill_of_one_token_on_the_cache(self, execution, reference, direction):
        """One query and K + 1 keys of the same attention, without an image."""
        text = DeepseekOCRModel.from_config(
            views=None,
            execution=execution,
            reference=reference,
            widths=Widths.SYMBOLIC,
            routing=Routing.SYMBOLIC,
        )
        text.start_prefill(1, B, kv_cache=SyntheticKVCache(B, K))
        prefill = ask(text, direction)
        decode = stage_cost("decode", execution, reference, direction)
        assert differences(decode, prefill) == {}

    @pytest.mark.parametrize("reference", REFERENCES)
    def test_the_cache_holds_keys_and_values_of_every_layer(self, reference):
        # 12 layers, keys and values, 10 heads of 128 features
        model = real(Execution.EAGER, reference)
        model.start_prefill(S, B)
        per_token = 12 * 2 * 10 * 128 * B * w_kv
        assert sp.expand(model.get_forward_cost().kv_bytes - S * per_token) == 0
        model.start_decode(SyntheticKVCache(B, K))
        assert sp.expand(model.get_forward_cost().kv_bytes - (K + 1) * per_token) == 0
        model.start_vision(B)
        assert model.get_forward_cost().kv_bytes == 0

    @pytest.mark.parametrize("reference", REFERENCES)
    def test_weights_of_the_tower_are_held_once_though_tiles_come_too(self, reference):
        model = real(Execution.EAGER, reference)
        model.start_vision(B)
        weights = model.get_forward_cost().weight_bytes
        assert weights.free_symbols == {w_w}

    def test_a_page_without_crops_costs_no_tiles(self):
        by_formula = real(Execution.FUSED, "vendor")
        by_formula.start_vision(B)
        point = {I_g: 1024, I_t: 640, n_w: 0, n_h: 0, B: 2, w_w: 2, w_a: 2, w_kv: 2}
        none = by_formula.get_forward_cost().evaluate(point)
        other_tiles = by_formula.get_forward_cost().evaluate(point | {I_t: 1280})
        assert figures(none) == figures(other_tiles)
        alone = symcost.load("deepseek-ocr", views=Views(1024, 640, 0, 0), execution="fused")
        alone.start_vision(2)
        assert figures(alone.get_forward_cost()) == figures(none)

    @pytest.mark.parametrize("reference", REFERENCES)
    def test_the_head_on_the_last_token(self, reference):
        """A token costs H V multiply-accumulates: 1280 by 129280."""
        macs = {}
        for which in ("all", "last"):
            model = DeepseekOCRModel.from_config(reference=reference, lm_head=which)
            model.start_prefill(S, B)
            macs[which] = model.get_forward_cost().parts["lm_head"].macs
        assert macs == {"all": B * S * 1280 * 129280, "last": B * 1280 * 129280}

    @pytest.mark.parametrize("execution", list(Execution))
    @settings(max_examples=5)
    @given(
        batch=st.integers(1, 9),
        tokens=st.integers(1, 5000),
        cached=st.integers(0, 5000),
        base=st.integers(1, 20),
        tile=st.integers(1, 20),
        grid=st.sampled_from([(0, 0), (1, 2), (2, 3), (3, 3), (9, 1)]),
    )
    def test_formulas_agree_with_numbers(self, execution, batch, tokens, cached, base, tile, grid):
        """Sizes put in before the graph is built, or into the formula at the very end."""
        views = Views(64 * base, 64 * tile, *grid)
        tokens += int(views.image_tokens)
        numbers = stage_figures(
            symcost.load("deepseek-ocr", views=views, execution=execution), batch, tokens, cached
        )
        assert all(type(amount) is int for found in numbers for amount in found.values())
        point = {I_g: 64 * base, I_t: 64 * tile, n_w: grid[0], n_h: grid[1]}
        value = Evaluator(point | {B: batch, S: tokens, K: cached})
        formulas = [
            {name: value(sp.sympify(amount)) for name, amount in found.items()}
            for found in symbolic_figures(execution)
        ]
        assert numbers == formulas


def stage_figures(model: DeepseekOCRModel, batch, tokens, cached) -> list[dict]:
    """What vision, prefill and decode cost."""
    found = []
    for start in (
        lambda: model.start_vision(batch),
        lambda: model.start_prefill(tokens, batch, SyntheticKVCache(batch, cached)),
        lambda: model.start_decode(SyntheticKVCache(batch, cached)),
    ):
        start()
        found.append(figures(model.get_forward_cost()))
    return found


@cache
def symbolic_figures(execution: Execution) -> list[dict]:
    return stage_figures(symcost.load("deepseek-ocr", execution=execution), B, S, K)
