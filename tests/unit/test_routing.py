"""Distinct experts: what is assumed, how it is read, and how many experts follow from it.

Expectations are counted again without the closed form: over all choices that there are, or token by
token. A token that finds e of E experts touched adds k (E - e)/E of them on average.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import pytest

import symcost
from symcost import Routing, SyntheticKVCache
from symcost.cost import Direction, Traffic
from symcost.errors import InputError
from symcost.exact import evaluate
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.routing import Assumption, touched
from symcost.symbols import B, K, S, U
from symcost.tensor import Kind

EXPECTED, MOST, LEAST = Assumption.EXPECTED, Assumption.MOST, Assumption.LEAST
DECODER = published().decoder
E, k, WEIGHTS = 64, 6, 1280 * 896
"""Experts, those that a token chooses, and the weights of one matrix of an expert."""


def config(experts: int, chosen: int, hidden: int = 1280, features: int = 896):
    return replace(
        DECODER, experts=experts, experts_per_token=chosen, hidden=hidden, expert_mlp=features
    )


def number(assumed, tokens: int, of=DECODER) -> Fraction:
    found = touched(assumed, tokens, of)
    assert found.is_Rational
    return Fraction(int(found.p), int(found.q))


def step_by_step(experts: int, chosen: int, tokens: int) -> Fraction:
    hit = Fraction(0)
    for _ in range(tokens):
        hit += chosen * (experts - hit) / experts
    return hit


def rounded(count: Fraction, weights: int) -> Fraction:
    """To the nearest whole number of weights, halves upwards."""
    return Fraction((2 * count * weights + 1) // 2, weights)


class TestParse:
    @pytest.mark.parametrize(
        ("text", "prefill", "decode", "shown"),
        [
            ("expected", EXPECTED, EXPECTED, "expected"),
            ("most", MOST, MOST, "most"),
            ("least", LEAST, LEAST, "least"),
            ("0.55", Fraction(11, 20), Fraction(11, 20), "11/20"),
            ("1", Fraction(1), Fraction(1), "1"),
            ("35/64", Fraction(35, 64), Fraction(35, 64), "35/64"),
            ("decode=0.55", EXPECTED, Fraction(11, 20), "prefill=expected,decode=11/20"),
            ("prefill=most", MOST, EXPECTED, "prefill=most,decode=expected"),
            ("decode=least,prefill=1", Fraction(1), LEAST, "prefill=1,decode=least"),
            ("prefill=most,decode=most", MOST, MOST, "most"),
        ],
    )
    def test_text(self, text, prefill, decode, shown):
        parsed = Routing.parse(text)
        assert parsed == Routing(prefill, decode)
        assert str(parsed) == shown
        assert Routing.parse(str(parsed)) == parsed

    @pytest.mark.parametrize(
        "text",
        [
            *("", "some", "0", "-0.5", "1.01", "1/0", "nan", "55%", "U"),
            *("=", "decode=", "decode", "vision=1", "decode=2", "decode=0"),
            *("prefill=1,", "prefill=1,0.5", "prefill=1;decode=1"),
        ],
    )
    def test_anything_else_is_refused(self, text):
        with pytest.raises(InputError) as error:
            Routing.parse(text)
        assert str(error.value) == (
            f"experts is {text!r}; allowed: expected, most, least, a measured fraction of the "
            "experts above 0 and up to 1, or STAGE=VALUE for prefill, decode, such as decode=0.55"
        )

    def test_the_expectation_is_assumed_unless_told_otherwise(self):
        assert Routing() == Routing(EXPECTED, EXPECTED)


class TestExpectation:
    @pytest.mark.parametrize(
        ("experts", "chosen", "tokens"), [(4, 1, 4), (5, 2, 3), (6, 3, 3), (7, 6, 3), (3, 3, 2)]
    )
    def test_it_is_the_mean_over_all_choices(self, experts, chosen, tokens):
        choices = list(combinations(range(experts), chosen))
        hits = [len(set().union(*each)) for each in product(choices, repeat=tokens)]
        mean = Fraction(sum(hits), len(hits))
        weights = len(hits)  # the mean is a whole number of so many weights
        assert number(EXPECTED, tokens, config(experts, chosen, 1, weights)) == mean

    def test_it_is_what_token_after_token_adds_in_whole_weights(self):
        hit = Fraction(0)
        for tokens in range(1, 301):
            hit += k * (E - hit) / E
            found = number(EXPECTED, tokens)
            assert found == rounded(hit, WEIGHTS)
            assert (found * WEIGHTS).denominator == 1
            assert abs(found - hit) <= Fraction(1, 2 * WEIGHTS)

    @pytest.mark.parametrize(("hidden", "features"), [(1, 1), (3, 5), (7, 11)])
    def test_few_weights_are_rounded_coarsely(self, hidden, features):
        for tokens in range(1, 60):
            found = number(EXPECTED, tokens, config(E, k, hidden, features))
            assert found == rounded(step_by_step(E, k, tokens), hidden * features)

    def test_one_token_touches_what_it_chooses_and_many_touch_all(self):
        assert number(EXPECTED, 1) == k
        # What is missed, 64 (58/64)^n of 1,146,880 weights each, is below half a weight from
        # n = 192 on: log(128 x 1,146,880) / log(64/58) = 191.03.
        assert [number(EXPECTED, n) == E for n in (191, 192, 300)] == [False, True, True]

    @pytest.mark.parametrize("tokens", [10**9, 10**30, 10**1000])
    def test_no_power_of_a_huge_number_is_taken(self, tokens):
        assert number(EXPECTED, tokens) == number(MOST, tokens) == E
        assert number(LEAST, tokens) == k

    def test_of_512_experts(self):
        of = config(512, 10, 2048, 512)
        assert number(EXPECTED, 10**9, of) == 512
        assert number(EXPECTED, 100, of) == rounded(step_by_step(512, 10, 100), 2048 * 512)


class TestBounds:
    @pytest.mark.parametrize("of", [DECODER, config(8, 2), config(5, 5), config(6, 1)])
    def test_least_expected_and_most_are_in_order(self, of):
        before = Fraction(0)
        for tokens in (*range(1, 301), 10**9):
            least, expected, most = (number(a, tokens, of) for a in (LEAST, EXPECTED, MOST))
            assert least == of.experts_per_token
            assert most == min(of.experts, of.experts_per_token * tokens)
            assert least <= expected <= most
            assert expected >= before
            before = expected

    def test_where_each_token_chooses_all_there_is_nothing_to_assume(self):
        of = config(5, 5)
        for tokens in (1, 2, 300, 10**9):
            assert {number(assumed, tokens, of) for assumed in Assumption} == {5}
            assert number(Fraction(1), tokens, of) == 5
        symbolic = touched(EXPECTED, B * S, of)
        assert evaluate(symbolic, {B: 2, S: 7}) == 5


class TestFormulas:
    @pytest.mark.parametrize("assumed", [*Assumption, Fraction(11, 20), Fraction(1, 3)])
    def test_sizes_may_be_put_in_later(self, assumed):
        formula = touched(assumed, B * S, DECODER)
        for batch, tokens in ((1, 6), (2, 7), (8, 1), (3, 64), (1, 191), (8, 1203), (1, 10**9)):
            value = evaluate(formula, {B: batch, S: tokens})
            assert value == number(assumed, batch * tokens)

    def test_a_formula_is_taken_as_it_is(self):
        assert touched(U, B * S, DECODER) == U

    def test_the_model_binds_its_symbol_by_stage(self):
        routing = Routing(prefill=LEAST, decode=Fraction(11, 20))
        model = symcost.load("deepseek-ocr", views=None, routing=routing)
        model.start_prefill(64, 8)
        assert model.touched_experts == 6
        model.start_decode()
        assert model.touched_experts == Fraction(352, 10)  # 0.55 x 64

    def test_expectations_of_the_model_are_of_all_tokens_in_the_call(self):
        model = symcost.load("deepseek-ocr", views=None)
        assert model.touched_experts is None
        model.start_prefill(3, 2)
        assert model.touched_experts == number(EXPECTED, 6)
        model.start_decode(SyntheticKVCache(4, 100))
        assert model.touched_experts == number(EXPECTED, 4)

    def test_work_does_not_depend_on_what_is_assumed(self):
        costs = {}
        for text in ("expected", "most", "least", "1"):
            model = symcost.load("deepseek-ocr", views=None, routing=Routing.parse(text))
            model.start_prefill(64, 2)
            costs[text] = model.get_forward_cost()
        work = {(cost.macs, cost.vector_flops, cost.weight_bytes) for cost in costs.values()}
        assert len(work) == 1
        read = {text: cost.bytes_read for text, cost in costs.items()}
        assert read["least"] < read["expected"] < read["most"] == read["1"]

    def test_a_symbol_stays_in_the_model(self):
        model = symcost.load("deepseek-ocr", routing=Routing.SYMBOLIC)
        model.start_decode(SyntheticKVCache(B, K))
        assert U in model.get_forward_cost().free_symbols
        assert model.touched_experts == U


class TestMeasured:
    def test_a_fraction_is_of_all_experts(self):
        assert number(Fraction(11, 20), 100) == Fraction(352, 10)
        assert number(Fraction(1), 100) == 64

    def test_it_is_rounded_to_whole_weights(self):
        third = number(Fraction(1, 3), 100)
        assert third == rounded(Fraction(64, 3), WEIGHTS) != Fraction(64, 3)

    @pytest.mark.parametrize(
        ("fraction", "tokens", "told"),
        [
            # A token chooses 6 of 64: 0.09375 of them.
            (Fraction(9, 100), 1, "experts is 0.09, 5.76 of 64; allowed for 1 tokens in a call: 6"),
            (Fraction(1, 64), 10**9, "allowed for 1000000000 tokens in a call: 6 to 64 of 64"),
            (Fraction(11, 20), 1, "experts is 0.55, 35.2 of 64; allowed for 1 tokens in a call: 6"),
            (Fraction(11, 20), 5, "allowed for 5 tokens in a call: 6 to 30 of 64"),
            (Fraction(1, 64), B * S, "allowed for B*S tokens in a call: at least 6 of 64"),
        ],
    )
    def test_what_no_routing_does_is_refused(self, fraction, tokens, told):
        with pytest.raises(InputError) as error:
            touched(fraction, tokens, DECODER)
        assert told in str(error.value)

    @pytest.mark.parametrize(("fraction", "tokens"), [(6, 1), (12, 2), (6, 2), (36, 6), (64, 11)])
    def test_the_bounds_themselves_are_allowed(self, fraction, tokens):
        assert number(Fraction(fraction, 64), tokens) == fraction

    def test_the_model_refuses_where_the_stage_is_asked(self):
        model = symcost.load("deepseek-ocr", views=None, routing=Routing.parse("0.55"))
        model.start_prefill(64, 1)
        assert model.get_forward_cost().flops > 0
        model.start_decode()
        with pytest.raises(InputError, match=r"35\.2 of 64"):
            model.get_forward_cost()


def test_experts_that_are_read_are_weights_of_all_layers():
    """11 layers of three matrices of 1280 by 896, two bytes each, for each that is touched."""
    for assumed, hit in ((LEAST, 6), (MOST, 48), (EXPECTED, number(EXPECTED, 8))):
        model = symcost.load("deepseek-ocr", views=None, routing=Routing(decode=assumed))
        model.start_decode(SyntheticKVCache(8, 100))
        experts = model.get_forward_cost().at("model.language_model.layers.1-11.mlp.experts")
        assert experts[Traffic(Kind.WEIGHT, Direction.READ)].amount == 11 * 3 * WEIGHTS * 2 * hit
