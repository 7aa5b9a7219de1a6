"""The real router and the real experts in memory: how many experts are read, and what is moved."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy as sp
import torch

from symcost.verify.routing import PATH, TOKENS, RealExperts, half_width

torch.set_num_threads(1)

E, k, H, F = 64, 6, 1280, 896


def expected_experts(experts: int, chosen: int, tokens: int) -> Fraction:
    """The mean number of distinct experts where each token chooses by itself, each as likely."""
    return experts * (1 - (1 - Fraction(chosen, experts)) ** tokens)


@pytest.fixture(scope="module")
def real():
    return RealExperts()


@pytest.fixture(scope="module")
def touched(real):
    return {found.tokens: found for found in real.touched()}


def test_uniform_routing_is_what_the_router_does(touched):
    assert tuple(touched) == TOKENS
    for tokens, found in touched.items():
        assert found.holds
        # What is stated is rounded to whole weights of an expert's matrix.
        assert abs(found.expected - expected_experts(E, k, tokens)) <= Fraction(1, 2 * H * F)
        assert (found.least, found.most) == (k, min(E, k * tokens))
        assert found.least <= found.mean <= found.most


def test_one_token_touches_as_many_as_it_chooses(touched):
    assert touched[1].mean == touched[1].expected == k


def test_the_simulation_tells_wrong_expectations(touched):
    """One expert less per token; and experts drawn one by one, so that a token draws one twice."""
    for tokens in (1, 2, 4, 8, 16, 32):
        assert not touched[tokens].agrees_with(expected_experts(E, k - 1, tokens))
        assert not touched[tokens].agrees_with(expected_experts(E, 1, k * tokens))


@pytest.mark.parametrize("likeness", [0.1, 0.5, 0.9])
def test_tokens_that_are_alike_touch_fewer(real, likeness):
    """The expectation is an assumption; as a bound from above it stays."""
    for found in real.touched((2, 8, 32), routers=16, likeness=likeness):
        assert not found.holds
        assert found.least < found.mean < found.expected


def test_a_seed_gives_the_same_and_leaves_the_common_generator_alone(real):
    before = torch.get_rng_state()
    first, again, other = (real.touched((4,), routers=2, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert real.run(3).hit == real.run(3).hit
    assert torch.equal(torch.get_rng_state(), before)


def test_an_interval_has_a_width_where_all_draws_are_alike():
    """As the score interval of a count that was never seen: about 15 of them at 99.99 %."""
    assert half_width(torch.full((512,), 64)) * 512 == pytest.approx(3.8906**2, abs=1e-3)


def eager(n: int, h: int) -> dict[str, tuple[int, int]]:
    """What the port's loop reads and writes when n tokens hit h experts, as the counter counts.

    Only the products, the search and what says where to go depend on how many are hit.
    """
    p = n * k
    mask = 8 * p * (E + 1)
    return {
        "aten.zeros_like": (0, 2 * n * H),
        "aten.aminmax": (8 * p, 16),
        "aten._local_scalar_dense": (16 + 25 * h, 0),
        "aten.zeros": (0, mask),
        "aten.scatter_": (mask + 8 * p, mask),
        "aten.sum": (mask, 8 * (E + 1)),
        "aten.gt": (8 * (E + 1), E + 1),
        "aten.nonzero": (E + 1 + 8 * h * p, 8 * h + 16 * p),
        "aten.eq": (8 * h, h),
        "aten.index": (p * (2 * H + 4 + 24), p * (2 * H + 4)),
        "aten.mm": (2 * p * (H + F) + 2 * h * 3 * F * H, 2 * p * (2 * F + H)),
        "aten.silu": (2 * p * F, 2 * p * F),
        "aten.mul": (4 * p * F + 2 * p * H + 4 * p, 2 * p * F + 4 * p * H),
        "aten._to_copy": (4 * p * H, 2 * p * H),
        "aten.index_add_": (4 * p * H + 8 * p, 2 * p * H),
    }


@pytest.mark.parametrize("tokens", [1, 2, 8, 64, 300])
def test_the_experts_move_what_their_loop_says(real, tokens):
    run = real.run(tokens)
    path = f"{PATH}.experts"
    read, written = run.moved.read.by_module[path], run.moved.written.by_module[path]
    assert {name: (read[name], written[name]) for name in read} == eager(tokens, run.hit)
    assert k <= run.hit <= min(E, k * tokens)


def test_another_expectation_of_the_program_is_noticed(real, monkeypatch):
    """The most experts that tokens can touch, stated as their expectation."""
    monkeypatch.setattr(
        "symcost.verify.routing.touched", lambda _, tokens, __: sp.Integer(min(E, k * tokens))
    )
    assert not any(found.holds for found in real.touched((4, 8, 16)))
