"""The comparisons fail where they should: each way of stating an operator wrongly is noticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symcost.operators import Rule
from symcost.symbols import ZERO
from tests.oracles.layer_cases import BLOCK_CASES, LAYER_CASES, points_of
from tests.oracles.operator_cases import OPERATOR_CASES, POINTS
from tests.oracles.support import counted, counted_backward, stated, stated_backward


def doubled(rule: Rule) -> Rule:
    return replace(rule, macs=2 * rule.macs)


def dropped(rule: Rule) -> Rule:
    return replace(rule, macs=ZERO)


def one_size_for_another(rule: Rule) -> Rule:
    first, second, *_ = sorted(rule.macs.free_symbols, key=str)
    return replace(rule, macs=rule.macs.xreplace({first: second}))


def shape_swapped(rule: Rule) -> Rule:
    (out,) = rule.out
    first, second, *rest = out.shape
    return replace(rule, out=(replace(out, shape=(second, first, *rest)),))


CASES = LAYER_CASES | BLOCK_CASES
WORK = [doubled, dropped]
MISTAKES = [*WORK, one_size_for_another, shape_swapped]


def fresh(case):
    """The same case, whose graphs are not known yet."""
    return replace(case)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize(
    "name",
    [
        "linear",
        "linear with a bias",
        "matmul",
        "einsum along rows",
        "conv2d in patches",
        "conv2d with stride and padding",
        "grouped_linear",
    ],
)
def test_an_operator_stated_wrongly_is_noticed(name, mistake, change_rule):
    case = fresh(OPERATOR_CASES[name])
    change_rule(name.split()[0], mistake)
    for point in POINTS:
        assert stated(case, point) != counted(case, point)


@pytest.mark.parametrize(
    ("operator", "name", "mistake"),
    [
        (operator, name, mistake)
        for operator, name in {
            "matmul": "linear",
            "einsum": "einsum along rows",
            "conv2d_grad": "conv2d with padding",
            "grouped_grad": "grouped_linear",
        }.items()
        for mistake in MISTAKES
        # The gradient of an einsum is an einsum, which refuses the shape that another got wrong.
        if (operator, mistake) != ("einsum", shape_swapped)
    ],
)
def test_a_gradient_stated_wrongly_is_noticed(operator, name, mistake, change_rule):
    case = fresh(OPERATOR_CASES[name])
    change_rule(operator, mistake)
    for point in POINTS:
        assert stated_backward(case, point) != counted_backward(case, point)


@pytest.mark.parametrize("mistake", WORK)
@pytest.mark.parametrize(
    ("operator", "name"),
    [
        ("linear", "vision.clip_layer"),
        ("matmul", "vision.sam_layer: windowed"),
        ("einsum", "vision.sam_layer: global"),
        ("conv2d", "vision.sam_encoder"),
        ("linear", "decoder.decoder_layer: dense"),
        ("matmul", "attention.cached_attention: three queries a key"),
        ("grouped_linear", "decoder.decoder_layer: routed"),
    ],
)
def test_a_layer_of_a_wrong_operator_is_noticed(operator, name, mistake, change_rule):
    case = fresh(CASES[name])
    change_rule(operator, mistake)
    point = points_of(case)[0]
    assert stated(case, point) != counted(case, point)


@pytest.mark.parametrize("mistake", WORK)
@pytest.mark.parametrize(
    ("operator", "name"),
    [
        ("matmul", "vision.clip_layer"),
        ("einsum", "vision.sam_layer: global"),
        ("conv2d_grad", "linear.patch_embedding"),
        ("grouped_grad", "decoder.decoder_layer: routed"),
    ],
)
def test_a_layers_gradient_of_a_wrong_operator_is_noticed(operator, name, mistake, change_rule):
    case = fresh(CASES[name])
    change_rule(operator, mistake)
    point = points_of(case)[0]
    assert stated_backward(case, point).matrix_flops != counted_backward(case, point).matrix_flops
