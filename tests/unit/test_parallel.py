"""A model on several devices: what one of them does and has, counted again by hand.

The textbook below counts a device of the decoder from its shapes alone. Routing is judged by
enumerating the choices of all tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations, product

import pytest

from symcost import Routing, SyntheticKVCache, Views, Widths, load
from symcost.cost import METRICS
from symcost.errors import InputError
from symcost.exact import Evaluator
from symcost.models.deepseek_ocr import CollectiveKind, Parallel
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.routing import Assumption, touched
from symcost.models.deepseek_ocr.workload import (
    Workload,
    collectives_of,
    costs_of,
    symbolic_collectives,
    symbolic_costs,
)
from symcost.symbols import B, I_g, I_t, K, S, T, as_expr, n_h, n_w, p_d, p_e, p_t

CONFIG = published()
PAGE = Views(1024, 640, 2, 3)
WHOLE = Parallel()
DIVIDING = [Parallel(2), Parallel(1, 2, 4), Parallel(1, 1, 2), Parallel(2, 4, 4), Parallel(2, 8, 8)]
UNEVEN = [Parallel(3), Parallel(4, 2, 6), Parallel(7, 16, 16), Parallel(5), Parallel(10, 1, 3)]
BATCH, LENGTH, CACHED = 16, 300, 500


def up(size: int, devices: int) -> int:
    return (size + devices - 1) // devices


class Textbook:
    """A device of the published decoder: 12 layers of 1280 features, 64 experts of which 6."""

    def __init__(self, parallel: Parallel, tokens: int, cached: int, batch: int = BATCH) -> None:
        devices, replicas = parallel.tensor, parallel.data
        self.sequences = up(batch, replicas)
        self.heads = up(10, devices)
        self.mlp, self.expert, self.shared = (up(f, devices) for f in (6848, 896, 1792))
        self.vocabulary = up(129_280, devices)
        self.held = up(64, parallel.expert)
        self.tokens, self.cached = tokens, cached

    @property
    def macs(self) -> int:
        rows, heads = self.sequences * self.tokens, self.heads
        projections = 4 * rows * 1280 * heads * 128
        attention = 2 * self.sequences * heads * self.tokens * (self.cached + self.tokens) * 128
        dense = 3 * rows * 1280 * self.mlp
        routed = rows * 1280 * (64 + 6 * 3 * self.expert + 3 * self.shared)
        rotary = 64 * self.tokens
        return (
            12 * (projections + attention + rotary)
            + dense
            + 11 * routed
            + rows * 1280 * self.vocabulary
        )

    @property
    def weights(self) -> int:
        attention = 4 * 1280 * self.heads * 128
        routed = 1280 * (64 + self.held * 3 * self.expert + 3 * self.shared)
        norms = 25 * 1280
        return (
            2 * self.vocabulary * 1280 + 12 * attention + 3 * 1280 * self.mlp + 11 * routed + norms
        )

    @property
    def cache(self) -> int:
        return 12 * 2 * self.sequences * self.heads * 128 * (self.cached + self.tokens)


def text(parallel: Parallel = WHOLE, **options):
    return load("deepseek-ocr", views=None, parallel=parallel, **options)


def decoded(parallel: Parallel):
    """Prefill of 300 tokens and a step on 500 of 16 sequences."""
    model = text(parallel)
    model.start_prefill(LENGTH, BATCH)
    yield Textbook(parallel, LENGTH, 0), model.get_forward_cost()
    model.start_decode(SyntheticKVCache(BATCH, CACHED))
    yield Textbook(parallel, 1, CACHED), model.get_forward_cost()


def check(parallel: Parallel) -> None:
    for book, cost in decoded(parallel):
        assert cost.macs == book.macs
        assert cost.weight_bytes == 2 * book.weights
        assert cost.kv_bytes == 2 * book.cache


class TestOneDevice:
    @pytest.mark.parametrize("parallel", [WHOLE, *DIVIDING, *UNEVEN], ids=str)
    def test_it_does_and_has_what_the_textbook_says(self, parallel):
        check(parallel)

    @pytest.mark.parametrize("name", ["share", "held", "sequences"])
    def test_the_textbook_notices_a_part_that_stays_whole(self, monkeypatch, name):
        monkeypatch.setattr(Parallel, name, lambda _, size: size)
        with pytest.raises(AssertionError):
            check(Parallel(2, 4, 4))

    def test_the_textbook_notices_rounding_down(self, monkeypatch):
        monkeypatch.setattr(Parallel, "share", lambda self, size: size // self.tensor)
        check(Parallel(2))
        with pytest.raises(AssertionError):
            check(Parallel(3))

    @pytest.mark.parametrize("parallel", DIVIDING, ids=str)
    def test_all_together_do_what_one_would_and_what_is_replicated(self, parallel):
        """Replicated are the router, of a replica's tokens, and the rotary matmul."""
        devices, whole = parallel.devices, list(decoded(WHOLE))
        for (book, alone), (_, cost) in zip(whole, decoded(parallel), strict=True):
            router = 11 * BATCH * book.tokens * 1280 * 64
            rotary = 12 * 64 * book.tokens
            again = (parallel.tensor - 1) * router + (devices - 1) * rotary
            assert devices * cost.macs == alone.macs + again
            assert devices * cost.kv_bytes == alone.kv_bytes

    @pytest.mark.parametrize("parallel", DIVIDING, ids=str)
    def test_all_together_have_every_weight_and_copies(self, parallel):
        """Experts lie on data/expert replicas, what is split on each, the rest on each device."""
        everywhere = 25 * 1280 + 11 * 64 * 1280
        experts = 11 * 64 * 3 * 896 * 1280
        alone = next(cost.weight_bytes for _, cost in decoded(WHOLE)) // 2
        split = alone - everywhere - experts
        (_, cost), _ = decoded(parallel)
        assert parallel.devices * cost.weight_bytes == 2 * (
            experts * parallel.data // parallel.expert
            + split * parallel.data
            + everywhere * parallel.devices
        )

    @pytest.mark.parametrize(
        ("parallel", "pages"), [(Parallel(2, 1, 2), 4), (Parallel(5), 4), (Parallel(1, 1, 3), 6)]
    )
    def test_pages_are_spread_over_all_devices(self, parallel, pages):
        alone = load("deepseek-ocr", views=PAGE)
        alone.start_vision(pages)
        expected = alone.get_forward_cost()
        model = load("deepseek-ocr", views=PAGE, parallel=parallel)
        model.start_vision(BATCH)
        assert [e.amount for e in model.get_forward_cost().entries] == [
            e.amount for e in expected.entries
        ]
        model.start_prefill(1000, BATCH)
        assert model.get_forward_cost().parts["vision"] == expected
        assert model.batch_size == BATCH

    def test_the_decoder_takes_in_the_pages_of_its_replica(self):
        model = load("deepseek-ocr", views=PAGE, parallel=Parallel(2, 1, 2))
        model.start_prefill(1000, BATCH)
        alone = load("deepseek-ocr", views=PAGE)
        alone.start_prefill(1000, BATCH // 2)
        at = "model.take_in_image"
        assert model.get_forward_cost().at(at) == alone.get_forward_cost().at(at)

    def test_grouped_heads_are_split_with_what_they_share(self):
        grouped = replace(CONFIG, decoder=replace(CONFIG.decoder, kv_heads=2))
        for devices, kv_heads in ((1, 2), (2, 1), (10, 1)):
            model = text(Parallel(devices), config=grouped)
            model.start_prefill(LENGTH, 1)
            assert model.get_forward_cost().kv_bytes == 2 * 12 * 2 * kv_heads * 128 * LENGTH

    def test_the_backward_pass_is_refused(self):
        model = text(Parallel(2))
        model.start_prefill(LENGTH, 1)
        with pytest.raises(InputError, match="parallel is tensor=2,expert=1,data=1; a backward"):
            model.get_backward_cost()


SMALL = [(4, 1, 2, 1), (4, 2, 2, 2), (6, 3, 3, 1), (6, 2, 2, 2), (4, 3, 2, 1), (4, 2, 4, 1)]
"""Experts, those of a token, replicas and tokens of each."""


class TestRouting:
    """The tokens of all replicas choose; counted is the first device's share of the experts."""

    @staticmethod
    def choices(experts: int, chosen: int, tokens: int) -> Iterator[tuple[tuple[int, ...], ...]]:
        return product(combinations(range(experts), chosen), repeat=tokens)

    @staticmethod
    def number(assumed, tokens: int, experts: int, chosen: int, replicas: int) -> Fraction:
        count = len(list(TestRouting.choices(experts, chosen, replicas * tokens)))
        config = replace(
            CONFIG.decoder, experts=experts, experts_per_token=chosen, hidden=1, expert_mlp=count
        )  # so that the mean is a whole number of weights
        found = touched(assumed, tokens, config, Parallel(1, replicas, replicas))
        return Fraction(int(found.p), int(found.q))

    @pytest.mark.parametrize(("experts", "chosen", "replicas", "tokens"), SMALL)
    def test_the_expectation_is_the_mean_over_all_choices(self, experts, chosen, replicas, tokens):
        held = set(range(experts // replicas))
        hits = [
            len(held.intersection(*[set().union(*each)]))
            for each in self.choices(experts, chosen, replicas * tokens)
        ]
        expected = self.number(Assumption.EXPECTED, tokens, experts, chosen, replicas)
        assert expected == Fraction(sum(hits), len(hits))

    @pytest.mark.parametrize(("experts", "chosen", "replicas", "tokens"), SMALL)
    def test_the_bounds_are_those_of_balanced_choices(self, experts, chosen, replicas, tokens):
        """Where every device gets tokens × chosen rows, the busiest touches so few or so many."""
        held = experts // replicas
        busiest = []
        for each in self.choices(experts, chosen, replicas * tokens):
            rows = [expert // held for choice in each for expert in choice]
            if all(rows.count(device) == tokens * chosen for device in range(replicas)):
                hit = {expert for choice in each for expert in choice}
                owners = [expert // held for expert in hit]
                busiest.append(max(owners.count(device) for device in range(replicas)))
        found = {
            assumed: self.number(assumed, tokens, experts, chosen, replicas)
            for assumed in (Assumption.LEAST, Assumption.MOST)
        }
        assert found == {Assumption.LEAST: min(busiest), Assumption.MOST: max(busiest)}

    def test_a_measured_fraction_is_of_the_experts_that_are_held(self):
        spread = Parallel(1, 4, 4)
        assert touched(Fraction(1, 2), 100, CONFIG.decoder, spread) == 8
        with pytest.raises(
            InputError, match=r"0\.5, 8 of 16; allowed for 1 tokens in a call: 2 to 6"
        ):
            touched(Fraction(1, 2), 1, CONFIG.decoder, spread)

    def test_the_model_asks_for_the_tokens_of_a_replica(self):
        model = text(Parallel(2, 4, 8), routing=Routing.parse("most"))
        model.start_decode(SyntheticKVCache(16, CACHED))
        assert model.touched_experts == 12  # two tokens of six experts each
        model.start_prefill(LENGTH, 16)
        assert model.touched_experts == 16


class TestCollectives:
    def exchanged(self, parallel: Parallel, **options):
        workload = Workload(PAGE, BATCH, 1000, 1000, 7)
        return collectives_of(
            lambda seen: load("deepseek-ocr", views=seen, parallel=parallel, **options), workload
        )

    @pytest.mark.parametrize("lm_head", ["all", "last"])
    def test_payloads(self, lm_head):
        found = self.exchanged(Parallel(2, 4, 8), lm_head=lm_head)
        hidden = 2 * 1000 * 1280 * 2  # sequences of a replica, tokens, features, bytes
        reduce, gather, swap = CollectiveKind
        features = (2 * 856 * 1280 * 2, gather, 2)
        logits = 2 * (1000 if lm_head == "all" else 1) * 129_280 * 2
        assert [(c.count, c.bytes, c.kind, c.group) for c in found["prefill"]] == [
            (1, *features),
            (1, hidden, reduce, 2),
            *[(1, hidden, reduce, 2)] * 2,
            (11, hidden, reduce, 2),
            *[(11, 6 * hidden, swap, 4)] * 2,
            (11, hidden, reduce, 2),
            (1, logits, gather, 2),
        ]
        assert [(c.bytes, c.kind, c.group) for c in found["vision"]] == [features]
        assert sum(c.count * c.bytes for c in found["decode"]) == 7 * 2 * 2 * (
            25 * 1280 + 22 * 6 * 1280 + 129_280
        )
        assert found["generation"] == found["prefill"] + found["decode"]

    def test_who_is_alone_exchanges_nothing(self):
        assert set(self.exchanged(WHOLE).values()) == {()}
        assert set(self.exchanged(Parallel(1, 1, 8)).values()) == {()}
        kinds = {c.kind for c in self.exchanged(Parallel(1, 8, 8))["generation"]}
        assert kinds == {CollectiveKind.ALL_TO_ALL}
        assert CollectiveKind.ALL_TO_ALL not in {
            c.kind for c in self.exchanged(Parallel(2, 1, 8))["generation"]
        }

    def test_their_paths_are_those_of_modules(self):
        model = load("deepseek-ocr", views=PAGE, parallel=Parallel(2, 2, 2))
        model.start_prefill(1000, BATCH)
        cost = model.get_forward_cost()
        assert all(cost.at(c.path).bytes_moved for c in model.collectives())

    def test_widths_of_activations_by_part(self):
        widths = Widths.parse("activations=1,vision.activations=4,weights=3")
        before, after = (
            self.exchanged(Parallel(2, 2, 2)),
            self.exchanged(Parallel(2, 2, 2), widths=widths),
        )
        for a, b in zip(before["prefill"], after["prefill"], strict=True):
            assert b.bytes == (2 * a.bytes if "projector" in a.path else a.bytes // 2)


@cache
def closed_forms():
    model = load("deepseek-ocr", parallel=Parallel.SYMBOLIC)
    return symbolic_costs(model), symbolic_collectives(model)


@pytest.mark.parametrize("parallel", [WHOLE, Parallel(2, 4, 8), Parallel(3, 2, 6)], ids=str)
def test_symbolic_degrees_give_what_numbers_give(parallel):
    workload = Workload(PAGE, 13, 1000, 1000, 7)

    def build(seen):
        return load("deepseek-ocr", views=seen, parallel=parallel)

    costs, exchanged = closed_forms()
    point = {B: 13, S: 1000, K: 1000, T: 7, I_g: 1024, I_t: 640, n_w: 2, n_h: 3}
    point |= {p_t: parallel.tensor, p_e: parallel.expert, p_d: parallel.data}
    built = costs_of(build, workload)
    for name, cost in {**built.stages, "generation": built.generation}.items():
        ours = costs[name].evaluate(point)
        assert {m: ours.figure(m) for m in METRICS} == {m: cost.figure(m) for m in METRICS}
    value = Evaluator(point)
    for name, stated in collectives_of(build, workload).items():
        bound = [
            (c.path, *(value(as_expr(size)) for size in (c.count, c.bytes, c.group)))
            for c in exchanged[name]
        ]
        assert [each for each in bound if each[-1] > 1] == [
            (c.path, c.count, c.bytes, c.group) for c in stated
        ]


class TestDegrees:
    @pytest.mark.parametrize(
        ("given", "parallel"),
        [
            ("tensor=2,expert=4,data=4", Parallel(2, 4, 4)),
            ("data=8", Parallel(data=8)),
            ("data=8,tensor=1", Parallel(1, 1, 8)),
        ],
    )
    def test_text(self, given, parallel):
        assert Parallel.parse(given) == Parallel.parse(str(parallel)) == parallel
        assert parallel.devices == parallel.data * parallel.tensor

    @pytest.mark.parametrize(
        "given",
        [
            *("", "2", "tensor", "tensor=", "tensor=0", "tensor=-2", "tensor=1.5", "tensor=p_t"),
            *("tensor=2,", "pipeline=2", "tensor=²", "data=9999999999"),
        ],
    )
    def test_anything_else_is_refused(self, given):
        with pytest.raises(InputError) as error:
            Parallel.parse(given)
        assert str(error.value) == (
            f"parallel is {given!r}; allowed: NAME=DEVICES for tensor, expert, data, "
            "such as tensor=2,expert=4,data=4"
        )

    @pytest.mark.parametrize("degree", [0, -1, 1.5, True, "2", None])
    def test_only_positive_integers_and_formulas_are_degrees(self, degree):
        for name in ("tensor", "expert", "data"):
            with pytest.raises(InputError, match=f"parallel {name} is .*; allowed: a positive in"):
                Parallel(**{name: degree})

    @pytest.mark.parametrize(("expert", "data"), [(2, 1), (4, 6), (8, 4)])
    def test_experts_are_spread_over_replicas(self, expert, data):
        with pytest.raises(InputError, match=f"expert is {expert}; allowed: what divides data="):
            Parallel(1, expert, data)

    @pytest.mark.parametrize(
        ("parallel", "kv_heads", "told"),
        [
            (Parallel(11), 10, "tensor is 11; allowed: at most the 10 attention heads"),
            (Parallel(1, 3, 3), 10, "expert is 3; allowed: what divides the 64 routed experts"),
            (Parallel(1, 128, 128), 10, "expert is 128; allowed: what divides the 64 routed"),
            (Parallel(5), 2, "tensor is 5; allowed: a number that divides the 2 key and value"),
            (Parallel(4), 2, "tensor is 4; allowed: a number that divides the 2 key and value"),
            (Parallel(p_t), 2, "tensor is p_t; allowed: a number that divides the 2 key and value"),
        ],
    )
    def test_what_does_not_fit_the_model_is_refused(self, parallel, kv_heads, told):
        config = replace(CONFIG, decoder=replace(CONFIG.decoder, kv_heads=kv_heads))
        with pytest.raises(InputError, match=told):
            text(parallel, config=config)
