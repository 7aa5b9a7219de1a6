"""One computation twice: stated over formulas by symcost, and run by torch on the meta device.

Either side ends in a `Count`, and counts are compared with `==`: integers, without a tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import sympy as sp
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache, UnlimitedOcrConfig

from symcost.autodiff import backward
from symcost.cost import Cost, Direction
from symcost.exact import Evaluator, as_rational
from symcost.execution import Execution, traffic
from symcost.graph import Graph
from symcost.loops import times
from symcost.symbols import Expr, Size, as_expr, w_a, w_kv, w_w
from symcost.tensor import Tensor
from symcost.verify.port import port as real_port

torch.set_num_threads(1)  # tests run in as many processes as there are cores

Point = dict[sp.Symbol, int]

_IN_BFLOAT16 = dict.fromkeys((w_w, w_a, w_kv), sp.Integer(2))


@dataclass(frozen=True)
class Count:
    """Matrix FLOPs, 2 for each multiply-accumulate, and the shapes of what came out."""

    matrix_flops: int
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Given:
    """An input of a computation.

    Parameters
    ----------
    shape : tuple of int or sympy.Expr
        Its shape.
    dtype : torch.dtype
        What its elements are.
    gradient : bool
        Whether it gets a gradient.
    make : callable, optional
        Makes it of its sizes in real memory, where it matters what it holds.
    """

    shape: tuple[Size, ...]
    dtype: torch.dtype = torch.float32
    gradient: bool = True
    make: Callable[..., torch.Tensor] | None = None


def floats(*shape: Size, dtype: torch.dtype = torch.float32) -> Given:
    """Numbers that get a gradient."""
    return Given(shape, dtype)


def constants(*shape: Size, dtype: torch.dtype = torch.float32) -> Given:
    """Numbers that get no gradient, such as pixels."""
    return Given(shape, dtype, gradient=False)


def integers(*shape: Size) -> Given:
    """Token ids, positions or expert numbers."""
    return Given(shape, torch.long, gradient=False)


def choices(*shape: Size) -> Given:
    """Expert numbers (t, k) that are held: all tokens choose the same experts in the same order."""
    return replace(
        integers(*shape), make=lambda tokens, count: torch.arange(count).repeat(tokens, 1)
    )


def marks(*shape: Size) -> Given:
    """Which rows are meant."""
    return Given(shape, torch.bool, gradient=False)


@dataclass(frozen=True, eq=False)
class Case:
    """A computation on both sides.

    Parameters
    ----------
    given : tuple of Given
        The inputs, with shapes as formulas.
    state : callable
        Runs symcost at a scope on the inputs, followed by the sizes as formulas.
    run : callable
        Runs torch on the inputs, followed by the sizes as numbers.
    sizes : tuple of int or sympy.Expr
        What either side needs to know besides the inputs.
    gradient : bool
        Whether there is anything that gets a gradient.
    """

    given: tuple[Given, ...]
    state: Callable[..., Tensor | tuple[Tensor, ...]]
    run: Callable[..., Any]
    sizes: tuple[Size, ...] = ()
    gradient: bool = True


def new_graph(case: Case) -> tuple[Graph, tuple[Tensor, ...]]:
    """The graph of a case over formulas, and what came out, by the rules as they are now."""
    graph = Graph()
    tensors = [
        graph.input(
            f"input {i}",
            *given.shape,
            width=sp.Integer(given.dtype.itemsize),
            differentiable=given.gradient,
        )
        for i, given in enumerate(case.given)
    ]
    results = _several(case.state(graph.root / "layer", *tensors, *case.sizes))
    for result in results:
        graph.output(result)
    return graph, results


stated_graph = cache(new_graph)
"""The same, made once."""


@cache
def backward_graph(case: Case) -> Graph:
    """The graph of a case's gradients."""
    return backward(stated_graph(case)[0])


def evaluated(graph: Graph, results: Iterable[Tensor], point: Point) -> Count:
    """What a graph states at a point."""
    at = Evaluator(point)
    macs = sum(at(times(operation.macs, operation.loops)) for operation in graph.operations)
    return Count(2 * macs, tuple(tuple(map(at, result.shape)) for result in results))


def stated(case: Case, point: Point) -> Count:
    """What symcost states for the forward pass of a case."""
    return evaluated(*stated_graph(case), point)


def stated_backward(case: Case, point: Point) -> Count:
    """What symcost states for the backward pass of a case."""
    graph = backward_graph(case)
    count = evaluated(graph, graph.outputs, point)
    return Count(count.matrix_flops, tuple(sorted(count.shapes)))


def counted(case: Case, point: Point) -> Count:
    """What torch counts in the forward pass of a case."""
    return count_of(lambda: case.run(*arguments(case, point)))


def counted_backward(case: Case, point: Point) -> Count:
    """What torch counts in the backward pass of a case, with the gradients of its inputs."""
    inputs = arguments(case, point)
    flops = backward_flops(case.run(*inputs))
    gradients = [x.grad for x in inputs if isinstance(x, torch.Tensor) and x.grad is not None]
    return Count(flops, tuple(sorted(tuple(gradient.shape) for gradient in gradients)))


def arguments(case: Case, point: Point) -> list[torch.Tensor | int]:
    """What torch runs on: tensors, without memory where none is needed, and numbers."""
    at = Evaluator(point)
    tensors = [_tensor(given, [at(as_expr(size)) for size in given.shape]) for given in case.given]
    return [*tensors, *(at(as_expr(size)) for size in case.sizes)]


def _tensor(given: Given, sizes: list[int]) -> torch.Tensor:
    if given.make is not None:
        return given.make(*sizes)
    return torch.empty(sizes, dtype=given.dtype, device="meta", requires_grad=given.gradient)


def eager_bytes(graph: Graph) -> dict[Direction, Expr]:
    """What a graph in bfloat16 is stated to move where every operator is a kernel."""
    moved = Cost(tuple(traffic(graph, Execution.EAGER)))
    return {
        Direction.READ: as_rational(moved.bytes_read).xreplace(_IN_BFLOAT16),
        Direction.WRITTEN: as_rational(moved.bytes_written).xreplace(_IN_BFLOAT16),
    }


def count_of(run: Callable[[], Any]) -> Count:
    """What torch counts while something runs."""
    with FlopCounterMode(display=False) as counter:
        results = _several(run())
    return Count(counter.get_total_flops(), tuple(tuple(result.shape) for result in results))


def backward_flops(results: Any) -> int:
    """What torch counts in the backward pass of a sum of all results."""
    loss = sum(result.sum() for result in _several(results) if result.requires_grad)
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    return counter.get_total_flops()


def port(config: UnlimitedOcrConfig, device: str = "meta") -> Any:
    """The real model of a configuration, in float32."""
    return real_port(config, device=device, dtype=torch.float32)


def cache_of(
    cached: int,
    batch: int,
    kv_heads: int,
    head_size: int,
    *,
    layers: int = 1,
    dtype: torch.dtype = torch.float32,
) -> DynamicCache:
    """The real cache with so many tokens in each layer."""
    past = DynamicCache()
    for layer in range(layers):
        keys, values = torch.empty(
            2, batch, kv_heads, cached, head_size, dtype=dtype, device="meta"
        )
        past.update(keys, values, layer)
    return past


def _several(results: Any) -> tuple[Any, ...]:
    return tuple(results) if isinstance(results, tuple) else (results,)
