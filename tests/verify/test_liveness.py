"""The measurement of live activations, on modules whose moments are counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from transformers import DynamicCache

from symcost.verify.liveness import measure

KILO = 1000


def kilobytes(rows: int = 1) -> torch.Tensor:
    return torch.empty(rows, 250, device="meta")


class Runs(torch.nn.Module):
    """A module that runs a function."""

    def __init__(self, run, **inner):
        super().__init__()
        self.run = run
        for name, module in inner.items():
            setattr(self, name, module)

    def forward(self, *args):
        return self.run(self, *args)


def moments(run, *given, **inner) -> list[tuple[str, int]]:
    """Operators that take or let go of memory, with what is live then, in kilobytes."""
    module = Runs(run, **inner)
    found = measure(module, lambda: module(*given), given=given).moments
    return [(m.operator.removeprefix("aten."), m.live // KILO) for m in found]


def test_what_is_in_a_chain_dies_when_it_has_been_used():
    found = moments(lambda _, x: x.neg().exp().sin(), kilobytes())
    assert found == [("neg", 2), ("exp", 3), ("sin", 3)]


def test_a_name_keeps_its_tensor_alive_until_it_is_given_away():
    def run(_, x):
        y = x.neg()
        y = y.exp()
        return y.sin().cos()

    assert moments(run, kilobytes()) == [("neg", 2), ("exp", 3), ("sin", 3), ("cos", 4)]


def test_a_view_keeps_the_whole_storage_alive():
    def run(_, x):
        first = x.neg()[:1]
        return first.exp()

    assert moments(run, kilobytes(3)) == [("neg", 6), ("slice", 6), ("exp", 7)]


def test_what_is_changed_in_place_takes_nothing():
    def run(_, x):
        y = x.neg()
        y.exp_()
        return y.add_(x)

    assert moments(run, kilobytes()) == [("neg", 2), ("exp_", 2), ("add_", 2)]


def test_a_place_that_is_free_may_be_taken_again():
    def run(_, x):
        for _ in range(50):
            x.neg()
        return x.exp()

    assert moments(run, kilobytes()) == [("neg", 2)] * 50 + [("exp", 2)]


def test_what_torch_composes_holds_what_it_needs():
    def run(_, x):
        return functional.softmax(x, -1, dtype=torch.float32)

    narrow = torch.empty(2, 250, device="meta", dtype=torch.bfloat16)
    assert moments(run, narrow) == [("_to_copy", 3), ("_softmax", 5)]


def test_weights_and_buffers_are_no_activations():
    linear = torch.nn.Linear(250, 250, bias=False, device="meta")
    linear.table = torch.nn.Buffer(kilobytes())
    found = moments(
        lambda module, x: module.linear(x + module.linear.table), kilobytes(), linear=linear
    )
    assert found == [("add", 2), ("t", 2), ("mm", 3)]


def test_the_peak_of_a_module_and_its_place():
    outer = Runs(lambda module, x: module.inner(x.neg()), inner=Runs(lambda _, y: y.exp()))
    given = kilobytes()
    found = measure(outer, lambda: outer(given), given=[given])
    assert (found.peak().live, found.peak("inner").live) == (3 * KILO, 3 * KILO)
    assert found.peak().place == "aten.exp in inner"
    with pytest.raises(ValueError):
        found.peak("elsewhere")


def test_in_a_cache_that_grows_the_old_entry_is_memory_beside_the_new_one():
    rows = torch.empty(1, 1, 4, 250, device="meta")
    cache = DynamicCache()
    cache.update(rows, rows.clone(), 0)
    new = torch.empty(1, 1, 1, 250, device="meta")
    module = Runs(lambda _, x: cache.update(x, x, 0)[0].neg())
    found = measure(module, lambda: module(new), given=[new], cache=cache)
    # New keys with the old ones, new values with the old ones, and what the keys make.
    assert [m.live for m in found.moments] == [5 * KILO, 5 * KILO, 6 * KILO]


def test_a_new_cache_is_none_either():
    cache = DynamicCache()
    new = torch.empty(1, 1, 1, 250, device="meta")
    module = Runs(lambda _, x: cache.update(x, x, 0)[0].neg())
    found = measure(module, lambda: module(new), given=[new], cache=cache)
    assert found.peak().live == 2 * KILO
