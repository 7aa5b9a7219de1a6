"""Bytes of every operator: stated for eager execution, and counted in torch, forward and backward.

Equal to the byte at every point. Where torch moves something else than the one operator that is
stated, the tables below say why, and how many bytes more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain

import pytest
import sympy as sp
import torch

from symcost.autodiff import backward
from symcost.cost import Direction
from symcost.exact import Evaluator
from symcost.operators import OPERATORS
from symcost.symbols import (
    ZERO,
    B,
    D,
    E,
    Expr,
    F,
    H,
    I_g,
    M,
    N,
    P,
    S,
    c_i,
    c_o,
    k,
    n,
    n_0,
    positive,
)
from symcost.tensor import same
from symcost.verify.byte_counter import count
from tests.mistakes import under_each_mistake
from tests.oracles.operator_cases import OPERATOR_CASES, POINTS
from tests.oracles.support import (
    Case,
    arguments,
    backward_graph,
    eager_bytes,
    new_graph,
    stated_graph,
)

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Beyond:
    """Bytes that torch moves beyond what is stated, and why."""

    reason: str
    read: Expr = ZERO
    written: Expr = ZERO


def both(reason: str, moved: Expr) -> Beyond:
    """As many bytes that torch reads beyond what is stated as it writes."""
    return Beyond(reason, moved, moved)


ONE_TOKEN = 1 - positive(S - 1)
_VECTOR = 2 * B * S * H
_TOKENS = 2 * B * H
_PAIRS = 2 * B * k * H
_WINDOWS = B * c_o * (sp.floor((n - 2) / 3) + 1) * (sp.floor((M - 4) / 3) + 1)
_PADDED_WINDOWS = B * c_o * (sp.floor((n + 1) / 2) + 1) * (sp.floor((M - 1) / 2) + 1)

ZEROS_FIRST = "torch writes zeros first, and reads them where it writes the whole once more"
IN_ONE = "torch makes all gradients in one operator, which reads once what several are stated to"
TOGETHER = "the loop has the rows of each expert apart, and the case puts them together"
OF_EACH = "the loop has a gradient of the whole for each expert, of zeros, and adds them all"
A_CHAIN = "torch runs a chain of operators, each of which writes what the next one reads"

BEYOND: dict[tuple[str, str], Beyond] = {
    ("einsum along rows", FORWARD): both(
        "of several sequences, torch brings one factor in the order of a batched product",
        2 * B * n * M * D * positive(B - 1),
    ),
    ("conv2d in patches", BACKWARD): Beyond(
        f"{IN_ONE}; it is given the weight also where pixels get no gradient",
        read=2 * c_o * c_i * P**2 - 2 * B * c_o * sp.floor(I_g / P) ** 2,
    ),
    ("conv2d", BACKWARD): Beyond(IN_ONE, read=-2 * B * c_o * n * M),
    ("conv2d with padding", BACKWARD): Beyond(IN_ONE, read=-2 * B * c_o * n**2),
    ("conv2d with stride", BACKWARD): Beyond(IN_ONE, read=-2 * 2 * _WINDOWS),
    ("conv2d with stride and padding", BACKWARD): Beyond(IN_ONE, read=-2 * 2 * _PADDED_WINDOWS),
    ("grouped_linear", FORWARD): both(TOGETHER, 2 * B * k * F),
    ("grouped_linear", BACKWARD): both(TOGETHER, _PAIRS + 2 * E * F * H),
    ("mul with repetition", BACKWARD): both(
        "one token needs no sum over them", -_VECTOR * ONE_TOKEN
    ),
    ("square", BACKWARD): both(A_CHAIN, 2 * _VECTOR),
    ("rsqrt", BACKWARD): both(A_CHAIN, 2 * _VECTOR),
    ("cos", BACKWARD): both(A_CHAIN, 2 * _VECTOR),
    ("sin", BACKWARD): both(A_CHAIN, _VECTOR),
    ("mean", BACKWARD): Beyond(
        "torch divides the gradient for each element, where the same one is stated to be repeated",
        read=2 * B * S,
        written=_VECTOR,
    ),
    ("sum_to a dimension of one", FORWARD): both(
        "one token needs no sum over them", -_VECTOR * ONE_TOKEN
    ),
    ("layer_norm", BACKWARD): Beyond(
        f"{IN_ONE}; it is given the bias and the two figures of each row",
        read=-3 * _VECTOR + 8 * B * S + 2 * H,
    ),
    ("pad", BACKWARD): Beyond(
        "the counter takes the whole of what a negative padding cuts from",
        read=2 * B * H * ((n + M) ** 2 - n**2),
    ),
    ("crop", BACKWARD): both("torch cuts one side after the other", 2 * B * n * (n + M) * H),
    ("gather", BACKWARD): both(ZEROS_FIRST, 2 * N * H),
    ("scatter", FORWARD): both(ZEROS_FIRST, 2 * N * H),
    ("masked_scatter_backward", FORWARD): Beyond(
        "the counter cannot know how many rows are marked and takes all of them",
        read=_VECTOR - 2 * N * H,
    ),
    ("masked_scatter", BACKWARD): Beyond(
        "the counter cannot know how many rows are marked and takes all of them",
        read=_VECTOR - 2 * B * N * H,
    ),
    ("interpolate_bicubic", BACKWARD): both(
        "torch casts the gradient to float32 and the result back", 4 * (n_0**2 + n**2) * H
    ),
    ("top_k", BACKWARD): both(ZEROS_FIRST, 2 * B * S * (E + k)),
    ("sort_by_expert", FORWARD): both(TOGETHER, 2 * 8 * B * k),
    ("dispatch", FORWARD): both(TOGETHER, _PAIRS),
    ("dispatch", BACKWARD): Beyond(
        OF_EACH, read=_TOKENS * (3 * k - 2), written=_TOKENS * (3 * k - 2)
    ),
    ("weigh", FORWARD): both(TOGETHER, _PAIRS),
    ("weigh", BACKWARD): Beyond(
        f"{OF_EACH}; torch casts to float32, and back; {TOGETHER}",
        read=7 * _PAIRS + 4 * B * k * (3 * k + 3),
        written=6 * _PAIRS + B * k * (12 * k - 2),
    ),
    ("combine", BACKWARD): Beyond(
        f"the counter takes the whole of what rows are selected from; {TOGETHER}",
        read=_TOKENS * (k - 1) + _PAIRS,
        written=_PAIRS,
    ),
}
"""What a case moves in torch beyond what is stated, by its name and the pass."""

PASSES = [
    (name, pass_)
    for name, case in OPERATOR_CASES.items()
    for pass_ in (FORWARD, BACKWARD)
    if pass_ == FORWARD or case.gradient
]


def pass_bytes(case: Case, pass_: str) -> dict[Direction, Expr]:
    """What a pass of a case is stated to move, by the rules as they are now."""
    graph, _ = new_graph(case)
    return eager_bytes(backward(graph) if pass_ == BACKWARD else graph)


def operators_of(name: str, pass_: str) -> list[str]:
    """The operators that run in a pass of a case."""
    case = OPERATOR_CASES[name]
    graph = backward_graph(case) if pass_ == BACKWARD else stated_graph(case)[0]
    return list(dict.fromkeys(operation.operator for operation in graph.operations))


@cache
def counted_bytes(name: str, pass_: str, index: int) -> dict[Direction, int]:
    """What torch moves in a pass of a case, at the point of that number."""
    case = OPERATOR_CASES[name]
    given = arguments(case, POINTS[index])
    run = _gradients(case, given) if pass_ == BACKWARD else lambda: case.run(*given)
    moved = count(torch.nn.Identity(), run)
    return {Direction.READ: moved.read.of(""), Direction.WRITTEN: moved.written.of("")}


def _gradients(case: Case, given: list[torch.Tensor | int]):
    """Runs the backward pass of a case, from the gradient of its first result."""
    made = case.run(*given)
    result = made[0] if isinstance(made, tuple) else made
    gradient = torch.empty_like(result)
    inputs = [x for x in given if isinstance(x, torch.Tensor) and x.requires_grad]
    return lambda: torch.autograd.grad(result, inputs, gradient)


def differences(
    stated: dict[Direction, Expr], name: str, pass_: str
) -> dict[tuple[int, Direction], int]:
    """What is stated beyond what was counted, by the number of the point."""
    beyond = BEYOND.get((name, pass_), Beyond(""))
    declared = {Direction.READ: beyond.read, Direction.WRITTEN: beyond.written}
    off = {}
    for index, point in enumerate(POINTS):
        at, counted = Evaluator(point), counted_bytes(name, pass_, index)
        for way, amount in stated.items():
            off[index, way] = at(amount) + at(declared[way]) - counted[way]
    return {where: by for where, by in off.items() if by}


@pytest.mark.parametrize(("name", "pass_"), PASSES)
def test_torch_moves_what_is_stated(name, pass_):
    assert differences(pass_bytes(OPERATOR_CASES[name], pass_), name, pass_) == {}


def test_every_exception_is_of_a_pass_that_is_compared():
    assert BEYOND.keys() <= set(PASSES)


def test_every_operator_is_compared():
    assert set(chain.from_iterable(operators_of(*each) for each in PASSES)) == set(OPERATORS)


@pytest.mark.parametrize(
    ("operator", "name", "pass_"),
    [(operator, *each) for each in PASSES for operator in operators_of(*each)],
)
def test_each_mistake_in_what_an_operator_touches_is_noticed(operator, name, pass_):
    """Those that leave the sums as they are go unnoticed here, but not by the counts by hand."""
    case = OPERATOR_CASES[name]
    right = pass_bytes(case, pass_)
    for mistake, wrong in under_each_mistake(operator, lambda: pass_bytes(case, pass_)):
        if not all(same(wrong[way], right[way]) for way in right):
            assert differences(wrong, name, pass_), mistake
