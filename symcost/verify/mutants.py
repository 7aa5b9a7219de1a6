"""Formulas that are wrong on purpose: each must make the comparison with the real model fail.

A mutant doubles what an operator, a parameter or a piece of the cache is stated to cost, drops it,
or takes one of its sizes for another; or it does so to the rule of an operator wherever it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Any
from unittest import mock

import sympy as sp

from symcost.autodiff import backward
from symcost.cost import MACS, Cost
from symcost.errors import SymcostError
from symcost.execution import Execution, work
from symcost.graph import Graph, Operation
from symcost.operators import OPERATORS, Rule
from symcost.stages import Stage
from symcost.symbols import ZERO, Expr, S
from symcost.tensor import Kind, Tensor
from symcost.verify.comparison import Formulas, Observation, disagreeing
from symcost.verify.quantities import Quantity
from symcost.verify.stated import Share, by_module, matrix_flops

Key = tuple[Quantity, Stage, bool]
KEYS: tuple[tuple[Stage, bool], ...] = (
    (Stage.VISION, True),
    (Stage.PREFILL, True),
    (Stage.PREFILL, False),
    (Stage.DECODE, False),
)
"""The stages, each with all that can run in it."""


@dataclass(frozen=True)
class Mutant:
    """A wrong formula.

    Parameters
    ----------
    name : str
        What is wrong with it.
    stated : mapping
        What it states, by quantity, stage and whether there is a page; None where the model cannot
        be put together with it.
    """

    name: str
    stated: Mapping[Key, Sequence[Share]] | None


@dataclass(frozen=True)
class Sensitivity:
    """How many mutants there were, and which of them went unnoticed.

    Parameters
    ----------
    mutants : int
        All of them.
    refused : int
        Those with which the model cannot be put together, for sizes no longer fit.
    survivors : tuple of str
        Those that the comparison did not notice.
    """

    mutants: int
    refused: int
    survivors: tuple[str, ...]


def sensitivity(formulas: Formulas, observations: Iterable[Observation]) -> Sensitivity:
    """Hold every mutant against what was observed of the whole model."""
    by_key: dict[Key, list[Observation]] = {}
    for observation in observations:
        if not observation.within or observation.stage is Stage.VISION:
            by_key.setdefault(observation.key, []).append(observation)
    made = list(mutants(formulas, by_key.keys()))
    judged = [(mutant.name, mutant.stated) for mutant in made if mutant.stated is not None]
    survivors = tuple(name for name, stated in judged if not _noticed(stated, by_key))
    return Sensitivity(len(made), len(made) - len(judged), survivors)


def _noticed(
    stated: Mapping[Key, Sequence[Share]], by_key: Mapping[Key, Sequence[Observation]]
) -> bool:
    return any(
        disagreeing(observation, by_module(shares, observation.evaluator))
        for key, shares in stated.items()
        for observation in by_key.get(key, ())
    )


def mutants(formulas: Formulas, keys: Iterable[Key]) -> Iterator[Mutant]:
    """Every mutant of what is observed under the given keys."""
    wanted = set(keys)
    for stage, has_page in KEYS:
        graphs = formulas.stated(has_page)[stage].graphs.values()
        sized: dict[Quantity, list[Sequence[Tensor]]] = {
            Quantity.FORWARD: _operands(graphs),
            Quantity.BACKWARD: _operands(map(backward, graphs)),
            Quantity.FVCORE: _operands(graphs) + _normed(graphs),
            Quantity.PARAMETERS: [[x] for graph in graphs for x in graph.weights.values()],
            Quantity.CACHE_BYTES: [[x] for graph in graphs for x in _cached(graph)],
            Quantity.IMAGE_TOKENS: [[]],
        }
        for quantity, tensors in sized.items():
            key = (quantity, stage, has_page)
            if key in wanted:
                sizes = [_sizes(stage, of_each) for of_each in tensors]
                yield from _of_shares(key, formulas.shares(*key), sizes)
    whole = {key for key in wanted if key[1:] == (Stage.PREFILL, True)}
    yield from _of_rules(formulas, whole or wanted)


def _of_shares(
    key: Key, given: Sequence[Share], sizes: Sequence[Sequence[Expr]]
) -> Iterator[Mutant]:
    quantity, stage, _ = key
    for index, (share, own) in enumerate(zip(given, sizes, strict=True)):
        for what, amount in _wrong(share.amount, own):
            stated = [*given[:index], replace(share, amount=amount), *given[index + 1 :]]
            yield Mutant(f"{quantity} of {stage}, {share.path}: {what}", {key: stated})


def _wrong(amount: Expr, sizes: Sequence[Expr]) -> Iterator[tuple[str, Expr]]:
    yield "doubled", 2 * amount
    yield "dropped", ZERO
    for one, other in permutations(dict.fromkeys(sizes), 2):
        yield f"{other} taken for {one}", amount * other / one


def _sizes(stage: Stage, tensors: Iterable[Tensor]) -> list[Expr]:
    """The sizes of tensors in a stage, but for those that are 1."""
    bound = {S: sp.Integer(1)} if stage is Stage.DECODE else {}
    sizes = [size.xreplace(bound) for tensor in tensors for size in tensor.shape]
    return [size for size in sizes if size != 1]


def _operands(graphs: Iterable[Graph]) -> list[Sequence[Tensor]]:
    """The operands and results of each product."""
    return [
        (*op.inputs, *op.outputs) for graph in graphs for op in graph.operations if op.macs != 0
    ]


def _normed(graphs: Iterable[Graph]) -> list[Sequence[Tensor]]:
    """The results of each LayerNorm, which fvcore counts."""
    return [
        op.outputs for graph in graphs for op in graph.operations if op.operator == "layer_norm"
    ]


def _cached(graph: Graph) -> Iterator[Tensor]:
    for operation in graph.operations:
        yield from (x for x in operation.outputs if x.pieces[0].region.kind is Kind.KV)


Change = Callable[[Rule], Rule]


def _of_rules(formulas: Formulas, wanted: set[Key]) -> Iterator[Mutant]:
    right = _work(formulas, wanted)
    used = {
        operation.operator: operation
        for stage, has_page in KEYS
        for graph in formulas.stated(has_page)[stage].graphs.values()
        for either in (graph, backward(graph))
        for operation in either.operations
    }
    for name, operation in used.items():
        for what, change in _changes(operation):
            with _rule_changed(name, change):
                try:
                    wrong: Mapping[Key, Sequence[Share]] | None = _work(Formulas(), wanted)
                except SymcostError:
                    wrong = None
            if wrong != right:
                yield Mutant(f"rule {name}: {what}", wrong)


def _changes(operation: Operation) -> Iterator[tuple[str, Change]]:
    if operation.macs != 0:
        yield "doubled", lambda rule: replace(rule, macs=2 * rule.macs)
        yield "dropped", lambda rule: replace(rule, macs=ZERO)
    for one, other in combinations(range(len(operation.outputs[0].shape)), 2):
        yield f"sizes {one} and {other} of the result swapped", _swapping(one, other)


def _swapping(one: int, other: int) -> Change:
    def swap(rule: Rule) -> Rule:
        first, *rest = rule.out
        shape = list(first.shape)
        if len(shape) <= max(one, other):
            return rule
        shape[one], shape[other] = shape[other], shape[one]
        return replace(rule, out=(replace(first, shape=tuple(shape)), *rest))

    return swap


@contextmanager
def _rule_changed(name: str, change: Change) -> Iterator[None]:
    right = OPERATORS[name].rule

    def wrong(*args: Any, **named: Any) -> Rule:
        return change(right(*args, **named))

    with mock.patch.dict(vars(OPERATORS[name]), rule=wrong):
        yield


def _work(formulas: Formulas, wanted: set[Key]) -> dict[Key, list[Share]]:
    """The matrix FLOPs of all stages, read off their graphs."""
    stated: dict[Key, list[Share]] = {}
    for stage, has_page in dict.fromkeys(key[1:] for key in wanted):
        graphs = formulas.graphs(has_page)[stage].values()
        for quantity, passes in (
            (Quantity.FORWARD, graphs),
            (Quantity.BACKWARD, map(backward, graphs)),
        ):
            if (quantity, stage, has_page) in wanted:
                entries = [
                    entry
                    for graph in passes
                    for entry in work(graph, Execution.EAGER)
                    if entry.resource == MACS and entry.amount != 0
                ]
                stated[quantity, stage, has_page] = matrix_flops(Cost(tuple(entries)))
    return stated
