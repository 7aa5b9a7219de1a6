"""The root model's contract: which layers each stage runs, and on which sizes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import symcost
from symcost import (
    Cost,
    DeepseekOCRModel,
    FixedLayer,
    StageCost,
    SyntheticKVCache,
    get_decode_cost_per_token,
    get_prefill_cost,
    get_vision_cost,
)
from symcost.errors import DomainError, InputError, StageError
from symcost.models.deepseek_ocr.geometry import Views
from symcost.symbols import B, K, S

LAYERS = 12


def stub(name: str, unit: int) -> FixedLayer:
    """A layer whose every figure is told by its digits: forward in units, backward in thirds."""
    forward, backward = (
        Cost.of(
            name,
            macs=factor * unit,
            vector_flops=2 * factor * unit,
            bytes_read=4 * factor * unit,
            bytes_written=5 * factor * unit,
            weight_bytes=6 * factor * unit,
            activation_bytes=7 * factor * unit,
            kv_bytes=8 * factor * unit,
        )
        for factor in (1, 3)
    )
    return FixedLayer(forward, backward)


VISION, DECODER, HEAD = stub("vision", 1), stub("decoder", 10**4), stub("lm_head", 10**8)


def toy(*, vision=VISION, decoder=DECODER, head=HEAD, layers=LAYERS) -> DeepseekOCRModel:
    return DeepseekOCRModel.from_layers(vision, decoder, layers, head)


def figures(cost: Cost) -> dict[str, int]:
    names = ("macs", "vector_flops", "bytes_read", "bytes_written", "weight_bytes", "kv_bytes")
    return {name: getattr(cost, name) for name in (*names, "activation_bytes")}


def expected(units: dict[int, int], *, factor: int = 1) -> dict[str, int]:
    """What stubs of these units cost, each so many times."""
    total = factor * sum(unit * count for unit, count in units.items())
    return {
        "macs": total,
        "vector_flops": 2 * total,
        "bytes_read": 4 * total,
        "bytes_written": 5 * total,
        "weight_bytes": 6 * total,
        "kv_bytes": 8 * total,
        "activation_bytes": 7 * factor * max(units),  # one layer is live at a time
    }


ONLY_VISION = {1: 1}
PREFILL = {1: 1, 10**4: LAYERS, 10**8: 1}
DECODE = {10**4: LAYERS, 10**8: 1}


class TestSubsets:
    """Each stage sums exactly its layers; every sum of stubs has digits of its own."""

    def test_vision_runs_the_vision_stack_only(self):
        model = toy()
        assert model.start_vision(batch_size=2) is None
        assert model.operation_mode == "vision"
        assert figures(model.get_forward_cost()) == expected(ONLY_VISION)
        assert figures(model.get_backward_cost()) == expected(ONLY_VISION, factor=3)

    def test_prefill_runs_everything(self):
        model = toy()
        model.start_prefill(context_len=100, batch_size=2)
        assert model.operation_mode == "prefill"
        assert figures(model.get_forward_cost()) == expected(PREFILL)
        assert figures(model.get_backward_cost()) == expected(PREFILL, factor=3)

    def test_decode_runs_no_vision(self):
        model = toy()
        model.start_decode(SyntheticKVCache(2, 100))
        assert model.operation_mode == "decode"
        assert figures(model.get_forward_cost()) == expected(DECODE)
        assert figures(model.get_backward_cost()) == expected(DECODE, factor=3)

    @pytest.mark.parametrize("layers", [1, 2, 30])
    def test_every_decoder_layer_counts(self, layers):
        model = toy(layers=layers)
        model.start_prefill(100, 2)
        assert model.get_forward_cost().macs == 1 + layers * 10**4 + 10**8

    def test_vision_is_optional_in_prefill(self):
        model = toy(vision=None)
        model.start_prefill(100, 2)
        assert figures(model.get_forward_cost()) == expected(DECODE)
        assert set(model.get_forward_cost().parts) == {"decoder", "lm_head"}

    def test_the_head_is_optional(self):
        model = DeepseekOCRModel.from_layers(VISION, DECODER, LAYERS)
        model.start_prefill(100, 2)
        assert figures(model.get_forward_cost()) == expected({1: 1, 10**4: LAYERS})
        model.start_decode()
        assert figures(model.get_forward_cost()) == expected({10**4: LAYERS})

    def test_vision_needs_no_decoder(self):
        model = toy(decoder=None, head=None)
        model.start_vision()
        assert figures(model.get_forward_cost()) == expected(ONLY_VISION)

    def test_parts_of_a_stage(self):
        model = toy()
        model.start_prefill(100, 2)
        parts = model.get_forward_cost().parts
        assert {name: part.macs for name, part in parts.items()} == {
            "vision": 1,
            "decoder": LAYERS * 10**4,
            "lm_head": 10**8,
        }
        model.start_decode()
        assert set(model.get_forward_cost().parts) == {"decoder", "lm_head"}

    def test_a_cost_has_the_units_of_a_report(self):
        model = toy()
        model.start_prefill(100, 2)
        cost = model.get_forward_cost()
        assert isinstance(cost, StageCost)
        # MACs are two FLOPs each, and there are as many vector FLOPs again: 4 units in all.
        assert cost.flops_tflops == 4 * (1 + 12 * 10**4 + 10**8) / 10**12
        assert cost.io_tb == 9 * (1 + 12 * 10**4 + 10**8) / 10**12


@dataclass
class Recording:
    """A layer of the user's own: a class with the two methods, in the workload's symbols."""

    unit: int
    asked: int = 0

    def get_forward_cost(self) -> Cost:
        self.asked += 1
        return Cost.of("own", macs=self.unit * B * S * (K + S), kv_bytes=B * (K + S))

    def get_backward_cost(self) -> Cost:
        return Cost.of("own", macs=2 * self.unit * B * S)


class TestOwnLayers:
    def test_sizes_are_those_of_the_stage(self):
        model = DeepseekOCRModel.from_layers(None, Recording(1), 2, None)
        model.start_prefill(context_len=10, batch_size=3)
        # B = 3, S = 10, K = 0; a head-less model of two layers
        assert model.get_forward_cost().macs == 2 * 3 * 10 * 10
        assert model.get_backward_cost().macs == 2 * 2 * 3 * 10
        assert model.get_forward_cost().kv_bytes == 2 * 3 * 10
        model.start_decode()
        # S = 1, K = 10: one query, eleven keys
        assert model.get_forward_cost().macs == 2 * 3 * 11
        model.decode_one_token()
        assert model.get_forward_cost().macs == 2 * 3 * 12
        assert model.get_forward_cost().kv_bytes == 2 * 3 * 12

    def test_a_prefill_in_pieces_goes_on_from_its_cache(self):
        model = DeepseekOCRModel.from_layers(None, Recording(1), 1, None)
        cache = model.start_prefill(10, 3)
        assert cache == SyntheticKVCache(3, 10)
        cache = model.start_prefill(5, 3, kv_cache=cache)
        assert cache == SyntheticKVCache(3, 15)
        assert model.get_forward_cost().macs == 3 * 5 * 15  # S = 5, K = 10

    def test_vision_gets_the_batch(self):
        class Tower(Recording):
            def get_forward_cost(self) -> Cost:
                return Cost.of("tower", macs=7 * B)

        model = DeepseekOCRModel.from_layers(Tower(1), None, 1)
        model.start_vision(batch_size=5)
        assert model.get_forward_cost().macs == 35
        model.start_vision()
        assert model.get_forward_cost().macs == 7

    def test_symbols_give_formulas(self):
        model = DeepseekOCRModel.from_layers(None, Recording(1), 2, None)
        model.start_prefill(context_len=S, batch_size=B)
        assert sp.expand(model.get_forward_cost().macs - 2 * B * S**2) == 0
        model.start_decode(SyntheticKVCache(B, K))
        assert sp.expand(model.get_forward_cost().macs - 2 * B * (K + 1)) == 0

    @given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
    def test_formulas_agree_with_numbers(self, batch, tokens, cached):
        model = DeepseekOCRModel.from_layers(None, Recording(3), 2, HEAD)
        model.start_prefill(S, B, kv_cache=SyntheticKVCache(B, K))
        formula = model.get_forward_cost().evaluate({B: batch, S: tokens, K: cached})
        model.start_prefill(tokens, batch, kv_cache=SyntheticKVCache(batch, cached))
        assert formula.macs == model.get_forward_cost().macs
        assert formula.macs == 2 * 3 * batch * tokens * (cached + tokens) + 10**8

    def test_a_head_that_runs_once_is_asked_once(self):
        layer = Recording(1)
        model = DeepseekOCRModel.from_layers(None, layer, 40, None)
        model.start_prefill(10, 1)
        model.get_forward_cost()
        assert layer.asked == 1  # forty equal layers are one cost, scaled


class TestSwitching:
    def test_stages_back_and_forth_leave_no_trace(self):
        model = toy(decoder=Recording(1), vision=VISION)
        model.start_prefill(10, 3)
        prefill = figures(model.get_forward_cost())
        model.start_vision(7)
        seen = figures(model.get_forward_cost())
        for _ in range(3):
            model.start_decode(SyntheticKVCache(5, 999))
            model.decode_one_token()
            model.start_prefill(10, 3)
            assert figures(model.get_forward_cost()) == prefill
            model.start_vision(7)
            assert figures(model.get_forward_cost()) == seen

    def test_asking_changes_nothing(self):
        model = toy()
        model.start_decode(SyntheticKVCache(2, 100))
        first = model.get_forward_cost()
        model.get_backward_cost()
        assert model.get_forward_cost() == first
        assert model.decode_one_token() == SyntheticKVCache(2, 101)

    def test_vision_does_not_touch_the_cache(self):
        model = toy(decoder=Recording(1))
        cache = model.start_prefill(10, 3)
        model.start_vision(batch_size=8)
        model.get_forward_cost()
        assert model.start_decode() == cache == SyntheticKVCache(3, 10)
        assert model.batch_size == 3
        model.decode_one_token()
        model.start_vision(batch_size=8)
        assert model.start_decode() == SyntheticKVCache(3, 11)

    def test_a_decoded_token_makes_the_cache_longer(self):
        model = toy()
        model.start_prefill(10, 3)
        model.start_decode()
        assert [model.decode_one_token().length for _ in range(3)] == [11, 12, 13]

    def test_a_cache_that_is_given_is_not_changed(self):
        mine = SyntheticKVCache(2, 100)
        model = toy()
        model.start_decode(mine)
        model.decode_one_token()
        assert mine == SyntheticKVCache(2, 100)

    def test_a_new_prefill_forgets_the_last_one(self):
        model = toy(decoder=Recording(1))
        model.start_prefill(10, 3)
        assert model.start_prefill(20, 3) == SyntheticKVCache(3, 20)
        model.start_decode()
        assert model.decode_one_token() == SyntheticKVCache(3, 21)

    def test_the_present_stage(self):
        model = toy()
        assert (model.operation_mode, model.batch_size) == (None, None)
        model.start_vision(4)
        assert (model.operation_mode, model.batch_size) == ("vision", 4)
        model.start_prefill(10, 2)
        assert (model.operation_mode, model.batch_size) == ("prefill", 2)
        model.start_decode()
        assert (model.operation_mode, model.batch_size) == ("decode", 2)


class TestViolations:
    @pytest.mark.parametrize(
        ("model", "act", "says"),
        [
            (
                toy(vision=None),
                lambda m: m.start_vision(),
                ("needs a vision layer", "vision_layer"),
            ),
            (toy(vision=None), get_vision_cost, ("needs a vision layer", "from_layers")),
            (
                toy(decoder=None),
                lambda m: m.start_prefill(9, 1),
                ("need a decoder", "decoder_layer"),
            ),
            (
                toy(decoder=None),
                lambda m: m.start_decode(SyntheticKVCache(1, 9)),
                ("need a decoder", "give decoder_layer to from_layers"),
            ),
            (
                toy(),
                lambda m: m.start_decode(),
                (
                    "needs a KV cache",
                    "start_prefill",
                    "kv_cache=SyntheticKVCache(batch_size, length)",
                ),
            ),
            (toy(), get_decode_cost_per_token, ("needs a KV cache", "start_prefill")),
            (toy(), lambda m: m.decode_one_token(), ("needs the decode stage", "start_decode")),
            (
                toy(),
                lambda m: m.get_forward_cost(),
                ("no stage", "start_vision, start_prefill or start_decode"),
            ),
            (toy(), lambda m: m.get_backward_cost(), ("no stage", "start_prefill")),
            (
                toy(),
                lambda m: m.start_prefill(9, 4, kv_cache=SyntheticKVCache(3, 10)),
                ("holds 3 sequences", "the prefill has 4", "must be the same"),
            ),
            (toy(), lambda _: toy(layers=0), ("num_decoder_layers is 0", "at least 1")),
            (toy(), lambda _: toy(layers=-2), ("num_decoder_layers is -2", "at least 1")),
        ],
    )
    def test_what_is_missing_and_how_to_give_it(self, model, act, says):
        with pytest.raises(StageError) as error:
            act(model)
        assert [text for text in says if text not in str(error.value)] == []

    def test_one_token_needs_the_decode_stage(self):
        model = toy()
        model.start_prefill(10, 2)
        with pytest.raises(StageError, match="needs the decode stage: call start_decode first"):
            model.decode_one_token()
        model.start_decode()
        model.start_vision()
        with pytest.raises(StageError, match="start_decode"):
            model.decode_one_token()

    @pytest.mark.parametrize(
        ("act", "says"),
        [
            (lambda m: m.start_vision(0), r"B \(batch.* is 0; allowed: a positive integer"),
            (lambda m: m.start_vision("2"), "'2' is neither an integer nor a formula"),
            (lambda m: m.start_vision(True), "True is neither an integer nor a formula"),
            (lambda m: m.start_prefill(0, 1), r"S \(tokens.* is 0; allowed: a positive integer"),
            (lambda m: m.start_prefill(1.5, 1), "1.5 is neither"),
            (lambda m: m.start_prefill(9, -1), r"B \(batch.* is -1"),
            (lambda m: m.start_prefill(sp.Integer(0), 1), r"S \(tokens.* is 0"),
            (lambda m: m.start_decode(SyntheticKVCache(1, -1)), r"K \(tokens.* is -1"),
            (lambda m: m.start_decode(SyntheticKVCache(0, 9)), r"B \(batch.* is 0"),
        ],
    )
    def test_sizes_outside_their_domain_are_refused(self, act, says):
        with pytest.raises(DomainError, match=says):
            act(toy())

    @pytest.mark.parametrize(
        "act",
        [
            lambda m: m.start_vision(0),
            lambda m: m.start_prefill(0, 3),
            lambda m: m.start_prefill(77, 0),
            lambda m: m.start_prefill(77, 4, kv_cache=SyntheticKVCache(3, 10)),
            lambda m: m.start_decode(SyntheticKVCache(3, -1)),
            lambda m: m.start_decode(SyntheticKVCache(0, 5)),
        ],
        ids=["vision", "context", "batch", "cache of others", "length", "sequences"],
    )
    def test_a_call_that_was_refused_leaves_no_trace(self, act):
        model = toy(decoder=Recording(1))
        cache = model.start_prefill(10, 3)
        before = figures(model.get_forward_cost())
        with pytest.raises(symcost.SymcostError):
            act(model)
        assert model.operation_mode == "prefill"
        assert figures(model.get_forward_cost()) == before
        assert model.start_decode() == cache

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"lm_head": "first"}, ("'first'", "all, last")),
            ({"reference": "vllm"}, ("'vllm'", "vendor, transformers")),
            ({"execution": "lazy"}, ("'lazy'", "eager, fused, ideal")),
        ],
    )
    def test_an_unknown_option_names_what_is_allowed(self, options, says):
        with pytest.raises(symcost.SymcostError) as error:
            symcost.load("deepseek-ocr", **options)
        assert [text for text in says if text not in str(error.value)] == []

    def test_an_unknown_model_names_what_is_allowed(self):
        with pytest.raises(InputError, match="'gpt'; allowed: deepseek-ocr"):
            symcost.load("gpt")


class TestHelpers:
    def test_vision(self):
        model = toy()
        assert figures(get_vision_cost(model)) == expected(ONLY_VISION)
        assert (model.operation_mode, model.batch_size) == ("vision", 1)

    def test_vision_has_the_batch_of_the_model(self):
        model = symcost.load("deepseek-ocr", views=Views(640, 640, 0, 0))
        one = get_vision_cost(model).macs
        model.start_prefill(200, 5)
        assert get_vision_cost(model).macs == 5 * one

    def test_prefill(self):
        cost = get_prefill_cost(toy(), context_len=100, batch_size=2)
        assert figures(cost) == expected(PREFILL)

    def test_decode_goes_on_from_the_prefill(self):
        model = DeepseekOCRModel.from_layers(None, Recording(1), 1, None)
        get_prefill_cost(model, context_len=10, batch_size=3)
        assert get_decode_cost_per_token(model).macs == 3 * 11
        assert model.operation_mode == "decode"
        model.decode_one_token()
        assert get_decode_cost_per_token(model).macs == 3 * 12


# The real model.


def test_layers_without_a_path_hold_weights_of_their_own():
    vision, decoder, head = (symcost.FixedLayer(Cost.of(weight_bytes=n)) for n in (1000, 7, 500))
    model = DeepseekOCRModel.from_layers(vision, decoder, 3, head)
    model.start_prefill(10, 1)
    assert model.get_forward_cost().weight_bytes == 1000 + 3 * 7 + 500


@pytest.mark.parametrize("layer", [5, "decoder", object()])
def test_what_is_no_layer_is_refused(layer):
    with pytest.raises(StageError, match=r"get_forward_cost\(\) and get_backward_cost\(\)"):
        DeepseekOCRModel.from_layers(None, layer, 1)


def test_a_context_shorter_than_the_image_is_refused():
    model = symcost.load("deepseek-ocr", views=symcost.views_of_page(1654, 2339))
    with pytest.raises(StageError, match="context_len is 902; the image alone takes 903 tokens"):
        model.start_prefill(902, 1)
    assert model.operation_mode is None
