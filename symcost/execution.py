"""Executions: how the operators of a graph are grouped into kernels, and what follows from it.

Work is the same whatever the grouping. Traffic is what crosses the borders of kernels, live
activations are the tensors between kernels that are still needed. Since a coarser grouping only
removes borders, eager >= fused >= ideal holds for traffic by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

import sympy as sp

from symcost.cost import (
    MACS,
    VECTOR_FLOPS,
    Cost,
    Direction,
    Entry,
    Storage,
    Traffic,
)
from symcost.graph import Graph, Operation
from symcost.loops import Loop, times
from symcost.symbols import Expr
from symcost.tensor import Kind, Piece, Region, Tensor

Kernels = list[list[Operation]]


class Execution(StrEnum):
    """How operators are grouped into kernels."""

    EAGER = "eager"
    """Every operator is a kernel, as the reference runs."""
    FUSED = "fused"
    """The kernels that layers declare, as serving engines run."""
    IDEAL = "ideal"
    """The whole graph is one kernel: compulsory traffic only."""


def kernels(graph: Graph, execution: Execution) -> Kernels:
    """The operations of a graph, grouped; a kernel runs where its last operator does."""
    if execution is Execution.EAGER:
        return [[operation] for operation in graph.operations]
    if execution is Execution.IDEAL:
        return [graph.operations] if graph.operations else []
    groups: dict[object, list[Operation]] = {}
    for operation in graph.operations:
        key = operation.kernel or operation
        groups[key] = [*groups.pop(key, []), operation]
    return list(groups.values())


def cost_of(graph: Graph, execution: Execution) -> Cost:
    """The cost of a forward or backward pass, entry by entry.

    Traffic is booked at the operator that first reads or that writes what crosses a border, so
    the shares of a model's modules add up to the whole under every execution.
    """
    entries = list(_work(graph))
    groups = kernels(graph, execution)
    last_use = _last_use(graph, groups)
    for index, kernel in enumerate(groups):
        entries.extend(_traffic(kernel, index, last_use))
    entries.extend(_live(graph, groups, last_use))
    entries.extend(_held(graph))
    return Cost(tuple(entry for entry in entries if entry.amount != 0))


def _work(graph: Graph) -> Iterator[Entry]:
    for operation in graph.operations:
        yield Entry(operation.path, MACS, times(operation.macs, operation.loops))
        yield Entry(operation.path, VECTOR_FLOPS, times(operation.vector_flops, operation.loops))


def _last_use(graph: Graph, groups: Kernels) -> dict[Region, int]:
    """The last kernel that reads each allocation; results are needed after the last one."""
    last: dict[Region, int] = {}
    for index, kernel in enumerate(groups):
        for operation in kernel:
            for piece in operation.reads:
                last[piece.region.root] = index
    for tensor in graph.outputs:
        for piece in tensor.pieces:
            last[piece.region.root] = len(groups)
    return last


def _traffic(kernel: list[Operation], index: int, last_use: dict[Region, int]) -> Iterator[Entry]:
    around = _common([operation.loops for operation in kernel])
    made = {piece.region.root for operation in kernel for piece in operation.writes}
    reads: dict[Region, dict[Expr, None]] = {}
    reader: dict[Region, str] = {}
    for operation in kernel:
        inner = operation.loops[len(around) :]
        for piece in operation.reads:
            if piece.region.root not in made:
                reader.setdefault(piece.region, operation.path)
                reads.setdefault(piece.region, {})[_gated(piece.elements, inner)] = None
    for region, amounts in reads.items():
        if region.parent is not None and region.root in reads:
            continue
        total = times(_union(region, list(amounts)) * region.width, _deeper(region.loops, around))
        yield Entry(reader[region], Traffic(region.kind, Direction.READ), total)
    for operation in kernel:
        for piece in operation.writes:
            region = piece.region
            if last_use.get(region, -1) > index:
                total = times(piece.elements * region.width, _deeper(region.loops, around))
                yield Entry(operation.path, Traffic(region.kind, Direction.WRITTEN), total)


def _common(chains: list[tuple[Loop, ...]]) -> tuple[Loop, ...]:
    """The loops around all operations of a kernel."""
    shared = chains[0]
    for chain in chains:
        while shared != chain[: len(shared)]:
            shared = shared[:-1]
    return shared


def _deeper(own: tuple[Loop, ...], around: tuple[Loop, ...]) -> tuple[Loop, ...]:
    """The loops that say how often memory crosses the border of a kernel.

    Memory that a loop inside the kernel owns (the weights of each repeated layer) crosses once
    for each run of that loop, everything else once for each run of the kernel.
    """
    return own if own[: len(around)] == around else around


def _gated(amount: Expr, loops: Iterable[Loop]) -> Expr:
    """An amount that is touched only where the conditions around it hold."""
    return times(amount, [loop for loop in loops if loop.condition is not None])


def _union(region: Region, amounts: list[Expr]) -> Expr:
    """How much of a region several reads touch together."""
    if len(amounts) == 1:
        return amounts[0]
    whole = region.elements
    if any(sp.expand(a + b - whole) == 0 for a in amounts for b in (*amounts, sp.Integer(0))):
        return whole
    return sp.Max(*amounts)


def _live(graph: Graph, groups: Kernels, last_use: dict[Region, int]) -> Iterator[Entry]:
    """Live activations at each kernel: what came before and is still needed, and what it makes."""
    written = {p.region.root for op in graph.operations for p in op.writes}
    live: dict[Region, Expr] = {}

    def enter(pieces: Iterable[Piece], until: int) -> None:
        for piece in pieces:
            root = piece.region.root
            if root.kind is Kind.ACTIVATION and last_use.get(root, -1) > until:
                live[root] = _gated(root.elements * root.width, root.loops)

    for operation in graph.operations:
        enter([p for p in operation.reads if p.region.root not in written], -1)
    for index, kernel in enumerate(groups):
        for operation in kernel:
            enter(operation.writes, index)
        yield Entry(kernel[0].path, Storage(Kind.ACTIVATION), sp.Add(*live.values()))
        for root in [root for root in live if last_use[root] <= index]:
            del live[root]


def _held(graph: Graph) -> Iterator[Entry]:
    """Weights and cache by name."""
    for path, weight in graph.weights.items():
        yield Entry(path, Storage(Kind.WEIGHT), held(weight))
    for operation in graph.operations:
        for tensor in operation.outputs:
            if tensor.pieces[0].region.kind is Kind.KV:
                yield Entry(operation.path, Storage(Kind.KV), held(tensor))


def held(tensor: Tensor) -> Expr:
    """The bytes of a tensor in all runs of the loops around it."""
    return sp.Add(
        *(times(piece.elements * piece.region.width, piece.region.loops) for piece in tensor.pieces)
    )
