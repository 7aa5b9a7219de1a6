"""Widths of parts: what changes with each, to the byte, and what does not."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import pytest

from symcost import Execution, SyntheticKVCache, Views, Widths, load
from symcost.cost import Cost, Direction, Storage, Traffic
from symcost.errors import DomainError, InputError
from symcost.symbols import w_a, w_kv, w_w
from symcost.tensor import Kind

PAGE = Views(1024, 640, 2, 3)
FOUR_BITS = Fraction(1, 2) + Fraction(2, 128)
"""Weights of 4 bits, and a scale of two bytes for each 128 of them."""

EXPERTS = 11 * 64 * 3 * 896 * 1280
"""Layers, experts, matrices of each, and their sides."""

HEAD = 1280 * 129_280
"""Features, and tokens of the vocabulary."""

READ_WEIGHTS = Traffic(Kind.WEIGHT, Direction.READ)
HELD_WEIGHTS = Storage(Kind.WEIGHT)
STAGES = ("vision", "prefill", "decode")


@cache
def costs(text: str = "weights=2", execution: str = "eager") -> dict[str, Cost]:
    """The stages on a page of 903 image tokens and 1,203 tokens in all, and a step behind them."""
    model = load("deepseek-ocr", views=PAGE, widths=Widths.parse(text), execution=execution)
    found = {}
    for stage, start in zip(
        STAGES,
        (
            lambda: model.start_vision(1),
            lambda: model.start_prefill(1203, 1),
            lambda: model.start_decode(SyntheticKVCache(1, 1203)),
        ),
        strict=True,
    ):
        start()
        found[stage] = model.get_forward_cost()
    return found


def changed(a: Cost, b: Cost) -> set[tuple]:
    """The resources and paths of the entries that differ; the two have the same ones."""
    pairs = list(zip(a.entries, b.entries, strict=True))
    assert all((x.path, x.resource) == (y.path, y.resource) for x, y in pairs)
    return {(x.resource, x.path) for x, y in pairs if x.amount != y.amount}


def amount(cost: Cost, resource) -> Fraction:
    found = cost[resource].amount
    return Fraction(int(found.p), int(found.q))


class TestParse:
    @pytest.mark.parametrize(
        ("text", "whole", "parts"),
        [
            ("kv=1", (2, 2, 1), {}),
            ("weights=1/2,activations=4", (Fraction(1, 2), 4, 2), {}),
            ("experts.weights=1/2+2/128", (2, 2, 2), {"experts.weights": Fraction(33, 64)}),
            ("experts.weights=0.5", (2, 2, 2), {"experts.weights": Fraction(1, 2)}),
            (
                "lm_head.weights=1,vision.weights=4,kv=0.5,vision.activations=1+1",
                (2, 2, Fraction(1, 2)),
                {"lm_head.weights": 1, "vision.weights": 4, "vision.activations": 2},
            ),
        ],
    )
    def test_text(self, text, whole, parts):
        widths = Widths.parse(text)
        assert (widths.weights, widths.activations, widths.kv) == whole
        assert dict(widths.parts) == parts
        assert widths.bindings == dict(zip((w_w, w_a, w_kv), whole, strict=True))

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("heads=1", "width is 'heads=1'; allowed: NAME=BYTES for weights, activations, kv, "),
            ("experts.kv=1", "width is 'experts.kv=1'; allowed: NAME=BYTES for "),
            ("experts=1", "lm_head.weights, such as kv=1 or experts.weights=1/2+2/128"),
            ("kv=1,kv=2", "width kv is given twice; give it once"),
            ("experts.weights=1,experts.weights=1", "width experts.weights is given twice"),
            ("kv", "width is 'kv'; allowed"),
            ("kv=", "width kv is ''; allowed"),
            ("", "width is ''; allowed"),
            ("kv=two", "width kv is 'two'; allowed"),
            ("vision.weights=nan", "width vision.weights is 'nan'; allowed"),
            ("experts.weights=1/0", "width experts.weights is '1/0'; allowed"),
            ("experts.weights=1/2+", "width experts.weights is '1/2+'; allowed"),
            ("experts.weights=0", "width experts.weights is 0; a width is positive"),
            ("experts.weights=1+0", "width experts.weights is 1+0; a width is positive"),
            ("lm_head.weights=-1", "width lm_head.weights is -1; a width is positive"),
            ("kv=2+-1", "width kv is 2+-1; a width is positive"),
        ],
    )
    def test_anything_else_is_refused(self, text, told):
        with pytest.raises(InputError) as error:
            Widths.parse(text)
        assert told in str(error.value)

    def test_an_unknown_part_is_refused(self):
        with pytest.raises(InputError, match=r"width 'experts' is unknown; allowed: vision\."):
            Widths(parts={"experts": 1})

    @pytest.mark.parametrize("width", [0, -1, Fraction(-1, 2), 0.5, "1", None, True])
    def test_a_width_of_a_part_is_a_positive_number(self, width):
        with pytest.raises(DomainError, match=r"^w_w \(bytes per weight\) is "):
            Widths(parts={"experts.weights": width})

    def test_parts_cannot_be_changed(self):
        given = {"experts.weights": 1}
        widths = Widths(parts=given)
        given["lm_head.weights"] = 1
        assert dict(widths.parts) == {"experts.weights": 1}
        with pytest.raises(TypeError):
            widths.parts["lm_head.weights"] = 1


@pytest.mark.parametrize("execution", list(Execution))
class TestExperts:
    TEXT = "experts.weights=1/2+2/128"

    def test_only_their_weights_change(self, execution):
        paths = set()
        for stage in STAGES:
            before, after = (costs(text, execution)[stage] for text in ("weights=2", self.TEXT))
            for resource, path in changed(before, after):
                assert resource in (READ_WEIGHTS, HELD_WEIGHTS)
                paths.add(path)
        # Held by the name of the parameter, read at the operator.
        experts = "model.language_model.layers.1-11.mlp.experts"
        names = ("gate_up", "down", "gate_up_proj", "down_proj")
        assert paths == {f"{experts}.{name}" for name in names}

    @pytest.mark.parametrize("stage", ["prefill", "decode"])
    def test_by_as_much_as_their_weights_are(self, execution, stage):
        """1,203 tokens touch all experts, one touches six of 64."""
        before, after = (costs(text, execution)[stage] for text in ("weights=2", self.TEXT))
        touched = {"prefill": Fraction(1), "decode": Fraction(6, 64)}[stage]
        for resource, weights in ((HELD_WEIGHTS, EXPERTS), (READ_WEIGHTS, EXPERTS * touched)):
            saved = amount(before, resource) - amount(after, resource)
            assert saved == weights * (2 - FOUR_BITS)
        assert before.flops == after.flops
        assert before.bytes_written == after.bytes_written

    def test_they_are_held_in_their_own_width(self, execution):
        held = costs(self.TEXT, execution)["decode"].at("model.language_model.layers.1-11.mlp")
        # Besides: the router's 64 x 1280 and two shared experts, in bf16.
        others = 11 * (64 * 1280 + 2 * 3 * 896 * 1280) * 2
        assert held.weight_bytes == EXPERTS * FOUR_BITS + others


@pytest.mark.parametrize("execution", list(Execution))
class TestHead:
    def test_only_its_weights_change(self, execution):
        for stage in ("prefill", "decode"):
            before, after = (costs(x, execution)[stage] for x in ("kv=2", "lm_head.weights=1"))
            assert changed(before, after) == {
                (READ_WEIGHTS, "lm_head"),
                (HELD_WEIGHTS, "lm_head.weight"),
            }
            assert before.bytes_read - after.bytes_read == HEAD
            assert before.weight_bytes - after.weight_bytes == HEAD
        vision = (costs(x, execution)["vision"] for x in ("kv=2", "lm_head.weights=1"))
        assert changed(*vision) == set()


class TestVision:
    WEIGHTS, ACTIVATIONS = "vision.weights=1", "vision.activations=4"

    @pytest.mark.parametrize("execution", list(Execution))
    @pytest.mark.parametrize("text", [WEIGHTS, ACTIVATIONS, f"{WEIGHTS},{ACTIVATIONS}"])
    def test_the_decoder_is_left_alone(self, execution, text):
        before, after = costs(execution=execution), costs(text, execution)
        assert changed(before["decode"], after["decode"]) == set()
        for part in ("decoder", "lm_head"):
            parts = (found["prefill"].parts[part] for found in (before, after))
            assert changed(*parts) == set()
        seen = changed(before["vision"], after["vision"])
        assert seen == changed(before["prefill"], after["prefill"])
        places = ("model.vision_tower", "model.multi_modal_projector")
        assert seen
        assert all(path.startswith(places) for _, path in seen)

    def test_weights_and_activations_are_told_apart(self):
        kinds = {
            text: {
                (type(resource), resource.kind)
                for resource, _ in changed(costs()["vision"], costs(text)["vision"])
            }
            for text in (self.WEIGHTS, self.ACTIVATIONS)
        }
        assert kinds[self.WEIGHTS] == {(Traffic, Kind.WEIGHT), (Storage, Kind.WEIGHT)}
        assert kinds[self.ACTIVATIONS] == {(Traffic, Kind.ACTIVATION), (Storage, Kind.ACTIVATION)}

    def test_the_projector(self):
        """256 features of the view and 6 x 100 of tiles: 2048 numbers in, 1280 out, and a bias."""
        rows, weights = 256 + 6 * 100, 2048 * 1280 + 1280
        for text, w, a in ((self.WEIGHTS, 1, 2), (self.ACTIVATIONS, 2, 4)):
            part = costs(text)["vision"].parts["projector"]
            # The global view and the tiles are two calls: each reads the weights.
            assert part.bytes_read == rows * 2048 * a + 2 * weights * w
            assert part.bytes_written == rows * 1280 * a
            assert part.weight_bytes == weights * w

    def test_all_of_its_weights(self):
        whole, half = costs()["vision"], costs(self.WEIGHTS)["vision"]
        assert 2 * half.weight_bytes == whole.weight_bytes
        assert 2 * amount(half, READ_WEIGHTS) == amount(whole, READ_WEIGHTS)


EVERYTHING = (
    "weights=1,activations=4,kv=1/2,vision.weights=3,vision.activations=8,"
    "experts.weights=1/2+2/128,lm_head.weights=5"
)


@pytest.mark.parametrize("execution", list(Execution))
def test_parts_add_up_to_the_whole_whatever_their_widths(execution):
    for cost in costs(EVERYTHING, execution).values():
        for resource in cost:
            values = [amount(part, resource) for part in cost.parts.values()]
            live = resource == Storage(Kind.ACTIVATION)
            assert amount(cost, resource) == (max(values) if live else sum(values))


@pytest.mark.parametrize("execution", list(Execution))
def test_a_part_may_be_as_wide_as_the_whole(execution):
    by_part = ",".join(
        f"{name}=4"
        for name in ("vision.weights", "vision.activations", "experts.weights", "lm_head.weights")
    )
    parts = costs(f"weights=4,activations=4,{by_part}", execution)
    whole = costs("weights=4,activations=4", execution)
    assert all(changed(parts[stage], whole[stage]) == set() for stage in STAGES)
