"""Laws of every operator and every layer: counts, growth and gradients."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import Counter
from dataclasses import replace

import pytest
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st

import symcost.layers
from symcost.exact import Evaluator
from symcost.execution import Execution
from symcost.operators import OPERATORS
from symcost.symbols import B, info_of, n_h, n_w
from symcost.tensor import Kind, Tensor, shape_text
from tests.laws.cases import (
    BF16,
    Case,
    formulas,
    graph_of,
    miscounted,
    numbers,
    points,
    sizes_of,
)
from tests.laws.layer_cases import LAYER_CASES
from tests.laws.operator_cases import OPERATOR_CASES
from tests.mistakes import under_each_mistake

ALL_CASES = OPERATOR_CASES | LAYER_CASES

every_operator = pytest.mark.parametrize("name", OPERATOR_CASES)
every_layer = pytest.mark.parametrize("name", LAYER_CASES)
every_case = pytest.mark.parametrize("name", ALL_CASES)


def public_layers() -> set[str]:
    """Every public function of the layers, by module and name."""
    modules = [info.name for info in pkgutil.iter_modules(symcost.layers.__path__)]
    found = set()
    for name in modules:
        module = importlib.import_module(f"symcost.layers.{name}")
        found |= {
            f"{name}.{function}"
            for function, value in inspect.getmembers(module, inspect.isfunction)
            if value.__module__ == module.__name__ and not function.startswith("_")
        }
    return found


def test_every_operator_has_a_case():
    assert {case.operator for case in OPERATOR_CASES.values()} == set(OPERATORS)


def test_every_layer_has_a_case():
    assert {name.partition(":")[0] for name in LAYER_CASES} == public_layers()


@every_operator
def test_a_case_runs_its_operator(name):
    case = OPERATOR_CASES[name]
    assert [operation.operator for operation in graph_of(case).operations] == [case.operator]


@every_operator
def test_an_operator_costs_what_was_counted_by_hand(name):
    assert miscounted(OPERATOR_CASES[name]) == {}


@every_operator
def test_each_mistake_in_what_an_operator_touches_is_noticed(name):
    case = OPERATOR_CASES[name]
    for mistake, noticed in under_each_mistake(case.operator, lambda: miscounted(replace(case))):
        assert noticed, mistake


@every_layer
def test_a_layer_multiplies_as_often_as_was_counted_by_hand(name):
    case = LAYER_CASES[name]
    macs = sp.Add(*(operation.macs for operation in graph_of(case).operations))
    assert sp.expand(macs - case.macs) == 0


@every_layer
def test_a_layer_holds_as_many_parameters_as_were_counted_by_hand(name):
    case = LAYER_CASES[name]
    held = sp.Add(*(weight.elements for weight in graph_of(case).weights.values()))
    assert sp.expand(held - case.parameters) == 0


@every_case
@given(data=st.data())
def test_counts_are_non_negative_integers(name, data):
    case = ALL_CASES[name]
    graph = graph_of(case)
    point = data.draw(points(sizes_of(case)))
    assume(case.legal(point))
    value = Evaluator(point)
    for operation in graph.operations:
        counts = {
            "macs": value(operation.macs),
            "vector_flops": value(operation.vector_flops),
            **{f"read {i}": value(piece.elements) for i, piece in enumerate(operation.reads)},
            **{f"write {i}": value(piece.elements) for i, piece in enumerate(operation.writes)},
        }
        wrong = {k: v for k, v in counts.items() if not isinstance(v, int) or v < 0}
        assert not wrong, operation.path


@every_case
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_macs_are_affine_in_the_batch(name, direction):
    """The second difference vanishes for all sizes: f(B + 2) - 2 f(B + 1) + f(B) = 0."""
    operations = graph_of(ALL_CASES[name], direction).operations
    macs = sp.Add(*(operation.macs for operation in operations))
    one_more, two_more = (macs.xreplace({B: B + extra}) for extra in (1, 2))
    assert sp.expand(two_more - 2 * one_more + macs) == 0


@every_case
@given(data=st.data())
def test_more_of_anything_costs_no_less(name, data):
    """In every size but those whose case says why not: `needed` of a resized table is a step."""
    case = ALL_CASES[name]
    sizes = sizes_of(case)
    point = data.draw(points(sizes)) | BF16
    assume(case.legal(point))
    growing = sorted(sizes - set(case.bends), key=str)
    grown_size = data.draw(st.sampled_from(growing))
    step = data.draw(st.integers(1, 3)) * info_of(grown_size).multiple_of
    # A grid without crops has neither columns nor rows, so both grow from nothing together.
    both = {n_w, n_h} if grown_size in (n_w, n_h) and point[n_w] == 0 else {grown_size}
    grown = point | {symbol: point[symbol] + step for symbol in both}
    assume(case.legal(grown))
    for execution in Execution:
        stated = formulas(case, execution)
        before, after = numbers(stated, point), numbers(stated, grown)
        less = {key: (before[key], after[key]) for key in before if after[key] < before[key]}
        assert not less, f"{execution}: {grown_size} + {step} at {point}"


def leaves(case: Case) -> list[Tensor]:
    """The differentiable tensors that the operators of a case start from."""
    graph = graph_of(case)
    made = {id(tensor) for operation in graph.operations for tensor in operation.outputs}
    found: dict[int, Tensor] = {}
    for operation in graph.operations:
        for tensor in operation.inputs:
            base = tensor
            while base.view is not None:
                base = base.view.base
            if id(base) not in made and base.differentiable:
                found[id(base)] = base
    return list(found.values())


def reached(case: Case) -> bool:
    """Whether gradients flow: an operator of a backward pass has no gradient of its own."""
    operations = graph_of(case).operations
    return all(operation.backward is not None for operation in operations if operation.inputs)


GIVES_GRADIENTS = [name for name, case in ALL_CASES.items() if leaves(case) and reached(case)]


@pytest.mark.parametrize("name", GIVES_GRADIENTS)
def test_every_weight_and_input_gets_a_gradient_of_its_own_shape(name):
    case = ALL_CASES[name]
    backwards = graph_of(case, "backward")
    wanted = Counter(shape_text([sp.expand(s) for s in leaf.shape]) for leaf in leaves(case))
    given_back = Counter(
        shape_text([sp.expand(s) for s in gradient.shape])
        for gradient in (*backwards.outputs, *backwards.kept)
    )
    if case.operator == "cache_append":  # no result that a loss depends on
        assert not given_back
    else:
        assert given_back == wanted


@pytest.mark.parametrize("name", GIVES_GRADIENTS)
def test_gradients_of_weights_are_kept_and_those_of_inputs_are_results(name):
    case = ALL_CASES[name]
    of_weights = [leaf for leaf in leaves(case) if leaf.region.kind is Kind.WEIGHT]
    assert len(graph_of(case, "backward").kept) == len(of_weights)


def products(case: Case) -> list[sp.Expr]:
    """The gradients' multiply-accumulates: each product again for each differentiable factor."""
    return [
        operation.macs * sum(1 for factor in operation.inputs[:2] if factor.differentiable)
        for operation in graph_of(case).operations
        if operation.macs != 0
    ]


@pytest.mark.parametrize("name", GIVES_GRADIENTS)
def test_the_gradients_of_a_product_are_two_products_of_its_size(name):
    """C = A B gives dA = dC B' and dB = A' dC, each with as many multiply-accumulates as C."""
    case = ALL_CASES[name]
    macs = sp.Add(*(operation.macs for operation in graph_of(case, "backward").operations))
    assert sp.expand(macs - sp.Add(*products(case))) == 0


@every_case
def test_weights_are_read_and_never_written(name):
    for operation in graph_of(ALL_CASES[name]).operations:
        assert all(piece.region.kind is not Kind.WEIGHT for piece in operation.writes)
