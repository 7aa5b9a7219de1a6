"""The counters: where they book work, and that none of their gaps stays silent."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as nnf
from fvcore.nn.jit_handles import einsum_flop_jit
from torch import nn
from transformers import DynamicCache

from symcost.verify import counters, fvcore_counter
from symcost.verify.blind_spots import (
    BLIND_SPOTS,
    BlindSpot,
    Counter,
    require_declared,
    undeclared,
)
from symcost.verify.port import port, run_decoder
from tests.oracles.test_backward import small

torch.set_num_threads(1)


class Split(nn.Module):
    """Two products, and two results: torch's own tracker never leaves it in the backward pass."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(size, size), nn.Linear(size, size)

    def forward(self, x):
        return self.first(x), self.second(x).transpose(0, 1)


class Nested(nn.Module):
    """A product of its own behind a list of modules that return tuples."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList([Split(size), Split(size)])

    def forward(self, x):
        for part in self.parts:
            a, b = part(x)
            x = a + b.transpose(0, 1)
        return x @ x.transpose(0, 1)


def nested():
    with torch.device("meta"):
        return Nested(8), torch.empty(5, 8)


LINEAR = 2 * 5 * 8 * 8
OWN = 2 * 5 * 8 * 5


def test_forward_work_is_booked_at_its_module_and_all_around_it():
    model, x = nested()
    count = counters.count(model, lambda: model(x))
    assert {path: count.of(path) for path in count.by_module} == {
        "": 4 * LINEAR + OWN,
        "parts": 4 * LINEAR,
        "parts.0": 2 * LINEAR,
        "parts.1": 2 * LINEAR,
        "parts.0.first": LINEAR,
        "parts.0.second": LINEAR,
        "parts.1.first": LINEAR,
        "parts.1.second": LINEAR,
    }
    assert count.of("parts.2") == 0


def test_backward_work_is_booked_at_its_module():
    """Two products for each of the forward pass, but the first input that gets no gradient."""
    model, x = nested()
    forward, backward = counters.count_both(model, lambda: model(x))
    assert forward.by_module == counters.count(model, lambda: model(x)).by_module
    assert {path: backward.of(path) for path in backward.by_module} == {
        "": 6 * LINEAR + 2 * OWN,
        "parts": 6 * LINEAR,
        "parts.0": 2 * LINEAR,
        "parts.1": 4 * LINEAR,
        "parts.0.first": LINEAR,
        "parts.0.second": LINEAR,
        "parts.1.first": 2 * LINEAR,
        "parts.1.second": 2 * LINEAR,
    }
    assert all(parameter.grad is None for parameter in model.parameters())


def attention(device: str):
    query = torch.zeros(2, 3, 5, 8, device=device)
    return lambda: nnf.scaled_dot_product_attention(query, query, query)


def test_fused_attention_counts_on_meta():
    count = counters.count(nn.Identity(), attention("meta"))
    assert count.of("") == 2 * 2 * (2 * 3 * 5 * 5 * 8)


def test_fused_attention_on_the_cpu_is_caught():
    count = counters.count(nn.Identity(), attention("cpu"))
    assert count.of("") == 0
    (gap,) = undeclared(Counter.TORCH, count)
    assert gap.operator == "aten._scaled_dot_product_flash_attention_for_cpu"
    with pytest.raises(Exception, match="FlopCounterMode does not count it; give the counter a ru"):
        require_declared(Counter.TORCH, count)


def test_fvcore_does_not_see_fused_attention():
    count = fvcore_counter.count(nn.Identity(), attention("cpu"))
    assert [gap.operator for gap in undeclared(Counter.FVCORE, count)] == [
        "aten::scaled_dot_product_attention"
    ]


def test_grouped_experts_are_caught():
    """The port's default implementation of the experts: zero for either counter, were it not."""
    model = port(small())
    whole = counters.count(model, lambda: run_decoder(model, 2, 7, DynamicCache()))
    model.set_experts_implementation("grouped_mm")
    grouped = counters.count(model, lambda: run_decoder(model, 2, 7, DynamicCache()))
    assert grouped.of("model.language_model.layers.1.mlp.experts") == 0
    assert whole.of("model.language_model.layers.1.mlp.experts") > 0
    gaps = {gap.operator: gap.path for gap in undeclared(Counter.TORCH, grouped)}
    assert gaps["aten._grouped_mm"] == "model.language_model.layers.1.mlp.experts"
    by_fvcore = fvcore_counter.count(model, lambda: run_decoder(model, 2, 7, DynamicCache()))
    assert by_fvcore.of("model.language_model.layers.1.mlp.experts") == 0
    assert "aten::_grouped_mm" in {gap.operator for gap in undeclared(Counter.FVCORE, by_fvcore)}


def contraction():
    query, table = torch.zeros(3, 14, 14, 64), torch.zeros(14, 14, 64)
    return lambda: torch.einsum("bhwc,hkc->bhwk", query, table)


def test_einsum_is_counted_exactly():
    count = fvcore_counter.count(nn.Identity(), contraction())
    assert count.of("") == 3 * 14 * 14 * 64 * 14
    assert type(count.of("")) is int


def test_fvcores_own_rule_for_einsum_is_off():
    """It reads a number with four digits back from a printed report."""
    count = fvcore_counter.count(nn.Identity(), contraction(), einsum=einsum_flop_jit)
    assert count.of("") == 527_000 != 3 * 14 * 14 * 64 * 14


def test_what_is_declared_for_one_counter_is_not_for_the_other():
    count = counters.count(nn.Identity(), lambda: torch.zeros(2, device="meta").cos())
    assert undeclared(Counter.TORCH, count) == []
    assert undeclared(Counter.FVCORE, count) != []


def test_fvcore_keeps_silent_about_nothing():
    """By itself it ignores some sixty operators without a word, `aten::max` among them."""
    count = fvcore_counter.count(nn.Identity(), lambda: torch.zeros(3, 4).max(0).values)
    assert "aten::max" in {gap.operator for gap in undeclared(Counter.FVCORE, count)}


def test_no_operator_is_declared_twice():
    for counter in Counter:
        names = [n for spot in BLIND_SPOTS if spot.counter is counter for n in spot.operators]
        assert len(names) == len(set(names))


def test_an_undeclared_operator_is_told_with_its_module():
    model, x = nested()
    count = counters.count(model, lambda: model(x))
    only_views = [BlindSpot(Counter.TORCH, "looks", ("aten.t", "aten.transpose"))]
    told = [str(gap) for gap in undeclared(Counter.TORCH, count, only_views)]
    assert [text.split(" and ")[0] for text in told] == ["aten.add ran"]
