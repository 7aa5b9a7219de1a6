"""Every operator against torch: multiply-accumulates and shapes, forward and backward."""

from __future__ import annotations

import re
from operator import attrgetter

import pytest
import torch
import torch.nn.functional as nnf
from torch.utils._python_dispatch import TorchDispatchMode

from symcost.exact import evaluate
from symcost.graph import Graph
from symcost.operators import OPERATORS, conv2d
from symcost.symbols import I_g
from symcost.tensor import Tensor
from tests.oracles.operator_cases import OPERATOR_CASES, POINTS
from tests.oracles.support import (
    arguments,
    backward_graph,
    counted,
    counted_backward,
    stated,
    stated_backward,
    stated_graph,
)

DIFFERENTIABLE = [name for name, case in OPERATOR_CASES.items() if case.gradient]

at_every_point = pytest.mark.parametrize("point", POINTS, ids=range(len(POINTS)))


class Dispatched(TorchDispatchMode):
    """Notes the name of every operator that torch runs."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def names_in_torch(operator: str) -> set[str]:
    """The operators of torch that a rule names, with the overload where it names one."""
    return set(re.findall(r"aten\.(\w+(?:\.\w+)?)", OPERATORS[operator].torch))


def in_torch(name: str) -> bool:
    """Whether torch has an operator of that name, such as `mul` or `mul.Scalar`."""
    try:
        attrgetter(name)(torch.ops.aten)
    except AttributeError:
        return False
    return True


@at_every_point
@pytest.mark.parametrize("name", OPERATOR_CASES)
def test_forward(name, point):
    case = OPERATOR_CASES[name]
    assert stated(case, point) == counted(case, point)


@at_every_point
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_backward(name, point):
    case = OPERATOR_CASES[name]
    assert stated_backward(case, point) == counted_backward(case, point)


@pytest.mark.parametrize("name", OPERATOR_CASES)
def test_a_case_runs_its_operator(name):
    graph, _ = stated_graph(OPERATOR_CASES[name])
    assert [operation.operator for operation in graph.operations] == [name.split()[0]]


def test_every_operator_is_covered():
    graphs = [stated_graph(case)[0] for case in OPERATOR_CASES.values()]
    graphs += [backward_graph(OPERATOR_CASES[name]) for name in DIFFERENTIABLE]
    assert {op.operator for graph in graphs for op in graph.operations} == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATOR_CASES)
def test_torch_runs_the_operator_that_the_rule_names(name):
    case = OPERATOR_CASES[name]
    with Dispatched() as dispatched:
        case.run(*arguments(case, POINTS[1]))
    assert dispatched.names & {named.split(".")[0] for named in names_in_torch(name.split()[0])}


@pytest.mark.parametrize("operator", OPERATORS)
def test_torch_has_every_operator_that_the_rule_names(operator):
    names = names_in_torch(operator)
    assert names
    assert [name for name in names if not in_torch(name)] == []


class TestSidesOfConvolutions:
    """Patches of 16 and two convolutions of stride 2: a side of 64 pixels ends as one feature."""

    CONVOLUTIONS = ((16, 16, 0), (3, 2, 1), (3, 2, 1))
    """Kernel, stride and padding."""

    def stated(self) -> list[Tensor]:
        graph = Graph()
        x, results = graph.input("pixels", 1, 3, I_g, I_g), []
        for i, (kernel, stride, padding) in enumerate(self.CONVOLUTIONS):
            weight = graph.input(f"weight {i}", 3, 3, kernel, kernel)
            x = conv2d(graph.root / f"conv{i}", x, weight, stride=stride, padding=padding)
            results.append(x)
        return results

    def test_the_formulas_have_no_rounding_left(self):
        _, _, *sides = zip(*(x.shape for x in self.stated()), strict=True)
        assert sides == [(I_g / 16, I_g / 32, I_g / 64)] * 2

    @pytest.mark.parametrize("side", range(64, 1281, 64))
    def test_the_formulas_give_torchs_sides(self, side):
        x = torch.empty(1, 3, side, side, device="meta")
        for result, (kernel, stride, padding) in zip(self.stated(), self.CONVOLUTIONS, strict=True):
            weight = torch.empty(3, 3, kernel, kernel, device="meta")
            x = nnf.conv2d(x, weight, stride=stride, padding=padding)
            assert all(size.free_symbols <= {I_g} for size in result.shape)
            assert tuple(evaluate(size, {I_g: side}) for size in result.shape) == x.shape
