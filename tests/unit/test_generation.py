"""Whole answers without a loop against the loop: a prefill, and a step on each longer cache."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import pytest
import sympy as sp

from symcost import (
    DeepseekOCRModel,
    Execution,
    StageCost,
    SyntheticKVCache,
    Views,
    Widths,
    get_decode_cost_per_token,
    get_generation_cost,
    get_prefill_cost,
    load,
)
from symcost.cost import RESOURCES, Cost, Storage
from symcost.errors import DomainError
from symcost.models.deepseek_ocr.reference import REFERENCES
from symcost.models.deepseek_ocr.workload import Workload, costs_of
from symcost.symbols import B, I_g, I_t, K, S, T, n_h, n_w
from symcost.tensor import Kind

SPENT = [resource for resource in RESOURCES if not isinstance(resource, Storage)]
"""Work, and traffic by kind and direction."""

PAGE = Views(512, 64, 2, 1)
"""8 x 9 features and newlines of the view, 3 of two tiles, a separator: 76 image tokens."""

ANSWERS = [1, 2, 3, 10]


def spent(cost: Cost) -> list[sp.Expr]:
    return [cost[resource].amount for resource in SPENT]


@cache
def model(execution: Execution, reference: str, lm_head: str, views: Views | None):
    return load(
        "deepseek-ocr", execution=execution, reference=reference, lm_head=lm_head, views=views
    )


def in_a_loop(
    given: DeepseekOCRModel, batch: int, tokens: int, longest: int
) -> dict[int, tuple[list[sp.Expr], Cost, Cost]]:
    """By tokens to generate: what is spent, the prefill and the last step."""
    prefill = get_prefill_cost(given, context_len=tokens, batch_size=batch)
    total, found = spent(prefill), {}
    for done in range(longest):
        given.start_decode(SyntheticKVCache(batch, tokens + done))
        step = get_decode_cost_per_token(given)
        total = [a + b for a, b in zip(total, spent(step), strict=True)]
        found[done + 1] = total, prefill, step
    return found


def check(whole: StageCost, loop: tuple[list[sp.Expr], Cost, Cost]) -> None:
    total, prefill, last = loop
    assert spent(whole) == total
    assert dict(whole.parts).keys() == {"prefill", "decode"}
    assert spent(whole.parts["prefill"]) == spent(prefill)
    # Weights of vision serve the prefill only, all others both; the cache is that of the last step.
    assert whole.weight_bytes == prefill.weight_bytes >= last.weight_bytes
    assert whole.kv_bytes == last.kv_bytes > prefill.kv_bytes
    assert whole.activation_bytes == max(prefill.activation_bytes, last.activation_bytes)
    # Weights stay; a step holds more cache than the prefill, and the last step the most.
    held = (stage.kv_bytes + stage.activation_bytes for stage in (prefill, last))
    assert whole.resident_bytes == prefill.weight_bytes + max(held)
    figures = (whole.flops, whole.bytes_read, whole.bytes_written, whole.resident_bytes)
    assert {type(figure) for figure in figures} == {int}


@pytest.mark.parametrize("execution", list(Execution))
@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize(
    ("batch", "tokens", "views", "lm_head", "answers"),
    [
        (1, 77, PAGE, "last", ANSWERS[:2]),
        (2, 5, None, "all", ANSWERS),
        (8, 96, PAGE, "all", ANSWERS[:3]),
    ],
)
def test_the_closed_form_is_the_loop(execution, reference, batch, tokens, views, lm_head, answers):
    given = model(execution, reference, lm_head, views)
    loop = in_a_loop(given, batch, tokens, answers[-1])
    for new in answers:
        check(
            get_generation_cost(given, context_len=tokens, batch_size=batch, new_tokens=new),
            loop[new],
        )


@pytest.mark.parametrize("execution", list(Execution))
def test_a_long_answer_is_the_loop(execution):
    given = model(execution, "vendor", "last", None)
    loop = in_a_loop(given, 2, 5, 57)
    check(get_generation_cost(given, context_len=5, batch_size=2, new_tokens=57), loop[57])


@pytest.mark.parametrize(
    ("execution", "reference", "lm_head"),
    [
        (Execution.EAGER, "vendor", "all"),
        (Execution.FUSED, "transformers", "last"),
        (Execution.IDEAL, "transformers", "all"),
    ],
)
def test_sizes_may_be_put_in_later(execution, reference, lm_head):
    symbolic = get_generation_cost(
        load("deepseek-ocr", execution=execution, reference=reference, lm_head=lm_head),
        context_len=S,
        batch_size=B,
        new_tokens=T,
    )
    assert symbolic.free_symbols == {B, S, T, I_g, I_t, n_w, n_h}
    page = {I_g: 512, I_t: 64, n_w: 2, n_h: 1}
    for batch, tokens, new in ((1, 77, 1), (8, 1203, 10**6)):
        value = symbolic.evaluate(page | {B: batch, S: tokens, T: new})
        number = get_generation_cost(
            model(execution, reference, lm_head, PAGE),
            context_len=tokens,
            batch_size=batch,
            new_tokens=new,
        )
        assert all(value[resource] == number[resource] for resource in RESOURCES)
        for part in ("prefill", "decode"):
            assert spent(value.parts[part]) == spent(number.parts[part])


@pytest.mark.parametrize("execution", list(Execution))
def test_only_the_length_may_stay_open(execution):
    """With the page and the batch known: a formula in T."""
    given = model(execution, "vendor", "all", PAGE)
    formula = get_generation_cost(given, context_len=90, batch_size=2, new_tokens=T)
    assert formula.free_symbols == {T}
    for new in (1, 9):
        number = get_generation_cost(given, context_len=90, batch_size=2, new_tokens=new)
        value = formula.evaluate({T: new})
        assert all(value[resource] == number[resource] for resource in RESOURCES)


@pytest.mark.parametrize("execution", list(Execution))
def test_flops_of_an_answer_by_hand(execution):
    """Text of S tokens and T behind them, without an image: matrix FLOPs as one would write them.

    A token: 12 layers of 4 x 1280² for attention, one MLP of 3 x 1280 x 6848, eleven routers of
    64 x 1280 with 6 + 2 experts of 3 x 1280 x 896, and 1280 x 129,280 of the head. A query and a
    key: 2 x 1280 in each layer; with the vendor's code 64 for the rotary angles of a position, in
    each layer and once for all sequences.
    """
    batch, tokens, new = 3, 7, 10
    per_token = (
        12 * 4 * 1280**2 + 3 * 1280 * 6848 + 11 * (64 * 1280 + 8 * 3 * 1280 * 896) + 1280 * 129_280
    )
    pairs = tokens * tokens + sum(tokens + t + 1 for t in range(new))
    macs = batch * ((tokens + new) * per_token + 12 * 2 * 1280 * pairs) + 12 * 64 * (tokens + new)
    given = model(execution, "vendor", "all", None)
    found = get_generation_cost(given, context_len=tokens, batch_size=batch, new_tokens=new)
    assert found.matrix_flops == 2 * macs


WIDTHS = [2, 1, 4, Fraction(1, 2), Fraction(1, 2) + Fraction(2, 128)]


@cache
def text_model(width) -> DeepseekOCRModel:
    return load("deepseek-ocr", views=None, execution="ideal", widths=Widths(kv=width))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("batch", "tokens", "new"), [(1, 924, 1), (2, 77, 57), (8, 1203, 4096)])
class TestCache:
    def test_it_holds_keys_and_values_of_every_token(self, width, batch, tokens, new):
        """12 layers, keys and values, 10 heads of 128: 2 x 12 x 1280 elements for each token."""
        given = text_model(width)
        cost = get_generation_cost(given, context_len=tokens, batch_size=batch, new_tokens=new)
        assert cost.kv_bytes == batch * (tokens + new) * 2 * 12 * 1280 * width

    def test_it_grows_by_as_much_with_each_token(self, width, batch, tokens, new):
        given = text_model(width)
        shorter, longer = (
            get_generation_cost(given, context_len=tokens, batch_size=batch, new_tokens=more)
            for more in (new, new + 1)
        )
        assert longer.kv_bytes - shorter.kv_bytes == batch * 2 * 12 * 1280 * width
        assert longer.weight_bytes == shorter.weight_bytes


@pytest.mark.parametrize("execution", list(Execution))
def test_resident_is_everything_that_is_held(execution):
    """Weights of the port, 3,335,504,128, in two bytes each; the cache in one."""
    given = load(
        "deepseek-ocr",
        views=PAGE,
        reference="transformers",
        execution=execution,
        widths=Widths(kv=1),
    )
    cost = get_generation_cost(given, context_len=100, batch_size=8, new_tokens=20)
    cache = 8 * 120 * 2 * 12 * 1280
    assert cost.weight_bytes == 2 * 3_335_504_128
    prefill, steps = cost.parts["prefill"], cost.parts["decode"]
    seen = 8 * 100 * 2 * 12 * 1280 + prefill.activation_bytes
    assert cost.resident_bytes == 2 * 3_335_504_128 + max(seen, cache + steps.activation_bytes)
    assert cost.gradient_bytes == 0
    assert steps.resident_bytes == steps.weight_bytes + cache + steps.activation_bytes
    assert cost[Storage(Kind.KV)].amount == cache


@pytest.mark.parametrize("cached", [None, 5])
def test_a_workload_has_its_answer_whatever_its_decode_stage_begins_on(cached):
    """The decode stage of a report may begin elsewhere; the answer's begins behind the prefill."""
    sizes = {"no_image": True, "context_len": 30, "batch": 2, "new_tokens": 4, "cached": cached}
    found = costs_of(
        lambda views: load("deepseek-ocr", views=views), Workload.from_options(**sizes)
    )
    by_itself = get_generation_cost(
        load("deepseek-ocr", views=None), context_len=30, batch_size=2, new_tokens=4
    )
    assert all(found.generation[resource] == by_itself[resource] for resource in RESOURCES)
    same = spent(found.stages["decode"]) == spent(by_itself.parts["decode"])
    assert same == (cached is None)


@pytest.mark.parametrize("new", [0, -3])
def test_an_answer_has_at_least_a_token(new):
    with pytest.raises(DomainError, match=rf"^T \(tokens to generate.* is {new}; allowed: a pos"):
        get_generation_cost(
            model(Execution.EAGER, "vendor", "all", None),
            context_len=30,
            batch_size=2,
            new_tokens=new,
        )


def test_an_answer_on_no_symbolic_cache_is_of_numbers():
    given = model(Execution.IDEAL, "vendor", "last", None)
    cost = get_generation_cost(given, context_len=3, batch_size=1, new_tokens=2)
    assert not cost.free_symbols & {K, T}
    assert cost.parts["decode"].peak_path
