"""Stages: what runs in each, and the sizes that it runs with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, Protocol, TypeVar, runtime_checkable

import sympy as sp

from symcost.autodiff import backward
from symcost.cost import Cost, Entry, Storage
from symcost.display import Displayed, Sheet
from symcost.errors import DomainError, InputError
from symcost.execution import Execution, cost_of, saved_bytes
from symcost.graph import Graph
from symcost.operators import OPERATORS
from symcost.symbols import B, Expr, K, Size, T, as_expr, check_size
from symcost.tensor import Kind


class Stage(StrEnum):
    """What a model is doing."""

    VISION = "vision"
    PREFILL = "prefill"
    DECODE = "decode"


@runtime_checkable
class Layer(Protocol):
    """Anything that states what its forward and its backward pass cost.

    Costs are formulas in the workload's symbols, B, S and K among them, which a stage binds; a
    layer of fixed cost states numbers.
    """

    def get_forward_cost(self) -> Cost:
        """The cost of one forward pass."""

    def get_backward_cost(self) -> Cost:
        """The cost of one backward pass."""


@dataclass(frozen=True)
class FixedLayer(Displayed):
    """A layer known by its figures only."""

    forward: Cost
    backward: Cost = field(default_factory=Cost)

    def get_forward_cost(self) -> Cost:
        """The cost that was stated."""
        return self.forward

    def get_backward_cost(self) -> Cost:
        """The cost that was stated."""
        return self.backward

    def sheet(self) -> Sheet:
        """What notebooks show: both costs."""
        forward, backward = self.forward.sheet(), self.backward.sheet()
        tables = [replace(table, caption="forward") for table in forward.tables]
        tables += [replace(table, caption="backward") for table in backward.tables]
        notes = dict.fromkeys([*forward.notes, *backward.notes])
        return Sheet("Layer known by its figures", tables, tuple(notes))


@dataclass(frozen=True, eq=False)
class GraphLayer(Displayed):
    """A layer whose costs are read off its graph.

    Parameters
    ----------
    graph : Graph
        The forward pass.
    execution : Execution or str
        How operators are grouped into kernels.
    parts : mapping of str to tuple of str, optional
        Named parts, each by the module paths below which it lies.

    Raises
    ------
    InputError
        There is no such execution.
    """

    graph: Graph
    execution: Execution = Execution.EAGER
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.execution not in list(Execution):
            raise InputError(f"execution is {self.execution!r}; allowed: {', '.join(Execution)}")
        object.__setattr__(self, "execution", Execution(self.execution))

    def __repr__(self) -> str:
        """A line, not all operators."""
        return f"<Layer of {len(self.graph.operations)} operators, {self.execution}>"

    @cached_property
    def _forward(self) -> Cost:
        return self._cost(self.graph)

    @cached_property
    def _backward(self) -> Cost:
        return self._cost(backward(self.graph))

    def _cost(self, graph: Graph) -> Cost:
        whole = cost_of(graph, self.execution)
        parts = {
            name: Cost(tuple(entry for path in paths for entry in whole.at(path).entries))
            for name, paths in self.parts.items()
        }
        return replace(whole, parts=parts)

    @cached_property
    def saved_bytes(self) -> Expr:
        """What the forward pass keeps in memory for the backward pass."""
        return saved_bytes(backward(self.graph))

    def get_forward_cost(self) -> Cost:
        """The cost of the graph."""
        return self._forward

    def get_backward_cost(self) -> Cost:
        """The cost of the gradients of the graph's weights and inputs."""
        return self._backward

    def sheet(self) -> Sheet:
        """What notebooks show: the forward cost, and the operators of the graph."""
        cost = self.get_forward_cost().sheet()
        tables = [*cost.tables, *self.graph.sheet().tables]
        title = f"Layer of {len(self.graph.operations)} operators, {self.execution}"
        return Sheet(title, tables, cost.notes)


def shared_layer(
    forward: Callable[..., Graph],
    *given: Hashable,
    execution: Execution = Execution.EAGER,
    parts: Mapping[str, tuple[str, ...]] | None = None,
) -> GraphLayer:
    """The layer of a forward pass, which is run once for the same sizes and rules of operators."""
    rules = tuple(known.rule for known in OPERATORS.values())
    return _layer(_graph(forward, given, rules), execution, tuple((parts or {}).items()))


@lru_cache(maxsize=64)
def _graph(forward: Callable[..., Graph], given: tuple[Any, ...], rules: Hashable) -> Graph:
    del rules  # what the graph was made under
    return forward(*given)


@lru_cache(maxsize=64)
def _layer(graph: Graph, execution: Execution, parts: tuple[Any, ...]) -> GraphLayer:
    return GraphLayer(graph, execution, dict(parts))


@dataclass(frozen=True)
class SyntheticKVCache:
    """A KV cache known by its sizes only.

    Parameters
    ----------
    batch_size : int or sympy.Expr
        Sequences.
    length : int or sympy.Expr
        Tokens that each sequence has in the cache.
    """

    batch_size: Size = 1
    length: Size = 0

    def __post_init__(self) -> None:
        check_size(self.batch_size, B)
        check_size(self.length, K)

    def appended(self, tokens: Size) -> SyntheticKVCache:
        """The cache after so many more tokens of each sequence."""
        return replace(self, length=self.length + tokens)


CostT = TypeVar("CostT", bound=Cost)


def over_tokens(cost: CostT, tokens: Size = T) -> CostT:
    """The cost of so many decode steps, each on one more cached token, as a closed form.

    Work and traffic of a step are affine in the cached tokens K, so their sum over K, …, K + T - 1
    is T times the first step plus T (T - 1) / 2 times what a token adds. What is held is that of
    the last step. K must still be a symbol of the cost.
    """
    count = as_expr(tokens)

    def summed(entry: Entry) -> Entry:
        if isinstance(entry.resource, Storage):
            if entry.resource.kind is Kind.WEIGHT:
                return entry
            return entry.of(entry.amount.xreplace({K: K + count - 1}))
        step = sp.expand(entry.amount)
        growth = step.coeff(K, 1)
        if (step - growth * K).has(K):
            raise DomainError(f"{entry.path} costs {entry.amount}, which is not affine in K")
        return entry.of(count * entry.amount + count * (count - 1) / 2 * growth)

    return cost.each(summed)
