"""Executions: how the operators of a graph are grouped into kernels, and what follows from it.

Work is the same whatever the grouping. Traffic is what crosses the borders of kernels, live
activations are the tensors between kernels that are still needed. Since a coarser grouping only
removes borders, eager >= fused >= ideal holds for traffic by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

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
from symcost.paths import called
from symcost.symbols import Expr
from symcost.tensor import Kind, Region, Tensor


class Execution(StrEnum):
    """How operators are grouped into kernels."""

    EAGER = "eager"
    """Every operator is a kernel, as the reference runs."""
    FUSED = "fused"
    """The kernels that layers declare, as serving engines run."""
    IDEAL = "ideal"
    """The whole graph is one kernel: compulsory traffic only."""


@dataclass(frozen=True)
class KernelGroup:
    """Operations that run as one kernel, and the loops around all of them."""

    operations: Sequence[Operation]
    loops: tuple[Loop, ...]
    name: str
    """Its place in the pass, and its first operator."""


def kernels(graph: Graph, execution: Execution) -> list[KernelGroup]:
    """The operations of a graph, grouped. Operators of a kernel follow each other."""
    ideal, fused = execution is Execution.IDEAL, execution is Execution.FUSED
    runs = groupby(
        graph.operations, key=lambda op: None if ideal else op.kernel if fused and op.kernel else op
    )
    return [
        KernelGroup(
            group,
            () if ideal else _common([op.loops for op in group]),
            f"{place}: {group[0].path}",
        )
        for place, group in enumerate(list(run) for _, run in runs)
    ]


def cost_of(graph: Graph, execution: Execution) -> Cost:
    """The cost of a forward or backward pass, entry by entry.

    Traffic is booked at the operator that first reads or that writes what crosses a border, so
    the shares of a model's modules add up to the whole under every execution.
    """
    eager = execution is Execution.EAGER
    live = _Ledger(graph, kernels(graph, execution)).live(
        _named(graph) if eager else {}, copies_cache=eager
    )
    entries = [*work(graph, execution), *traffic(graph, execution), *live, *_held(graph)]
    return Cost(tuple(entry for entry in entries if entry.amount != 0))


def work(graph: Graph, execution: Execution) -> Iterator[Entry]:
    """What a graph's operators do, which is the same under every execution."""
    for group in kernels(graph, execution):
        for op in group.operations:
            yield Entry(op.path, MACS, times(op.macs, op.loops), group.name)
            yield Entry(op.path, VECTOR_FLOPS, times(op.vector_flops, op.loops), group.name)


def traffic(graph: Graph, execution: Execution) -> Iterator[Entry]:
    """The bytes that cross the borders of kernels, and under eager execution those besides."""
    groups = kernels(graph, execution)
    yield from _Ledger(graph, groups).traffic()
    if execution is Execution.EAGER:
        yield from _scratch(groups)


def _scratch(groups: Sequence[KernelGroup]) -> Iterator[Entry]:
    """What the reference's operators move besides their reads and results."""
    for group in groups:
        for operation in group.operations:
            for direction, amount in (
                (Direction.READ, operation.scratch.read),
                (Direction.WRITTEN, operation.scratch.written),
            ):
                resource = Traffic(Kind.ACTIVATION, direction)
                total = times(amount, operation.loops)
                yield Entry(operation.path, resource, total, group.name)


def _named(graph: Graph) -> dict[Region, int]:
    """The last operation at which a name in the reference keeps memory alive.

    Names are those that layers state, and those of callers: what a module is given stays alive
    until it returns.
    """
    ends = _ends(graph.operations)
    named: dict[Region, int] = {}

    def hold(root: Region, until: int) -> None:
        named[root] = max(named.get(root, until), until)

    for name in graph.holds:
        for piece in name.tensor.pieces:
            hold(piece.region.root, ends[name.since].get(name.path, name.since - 1))
    if graph.calls:
        makers = {p.region.root: op.path for op in graph.operations for p in op.writes}
        for operation, end in zip(graph.operations, ends[:-1], strict=True):
            for root in {piece.region.root for piece in operation.reads}:
                maker = set(called(makers.get(root, "")))
                given = next((module for module in end if module not in maker), operation.path)
                hold(root, end[given])
    return named


def _ends(operations: Sequence[Operation]) -> list[dict[str, int]]:
    """At each operation, and behind the last, the modules that run and the last operation of each.

    Modules come from the root inwards.
    """
    ends: list[dict[str, int]] = [{}]
    for index, operation in reversed(list(enumerate(operations))):
        ends.append({m: ends[-1].get(m, index) for m in called(operation.path)})
    return ends[::-1]


def saved_bytes(graph: Graph) -> Expr:
    """What a backward pass is given of its forward pass, of all runs of repeated layers."""
    given = _Ledger(graph, kernels(graph, Execution.EAGER)).given()
    return sp.Add(*(size for root, size in given.items() if root in graph.saved))


class _Ledger:
    """Traffic and live activations of a graph whose operations are grouped into kernels."""

    def __init__(self, graph: Graph, groups: Sequence[KernelGroup]) -> None:
        self._groups = groups
        self._saved = graph.saved
        self._made = {p.region.root for op in graph.operations for p in op.writes}
        self._kept = {p.region.root for tensor in graph.kept for p in tensor.pieces}
        self._last_use: dict[Region, int] = {}
        for index, group in enumerate(groups):
            for operation in group.operations:
                for piece in operation.reads:
                    self._last_use[piece.region.root] = index
        for tensor in (*graph.outputs, *graph.kept):
            for piece in tensor.pieces:
                self._last_use[piece.region.root] = len(groups)

    def traffic(self) -> Iterator[Entry]:
        """Bytes that cross the borders of kernels."""
        for index, group in enumerate(self._groups):
            yield from self._reads(group)
            yield from self._writes(group, index)

    def _reads(self, group: KernelGroup) -> Iterator[Entry]:
        made = {piece.region.root for op in group.operations for piece in op.writes}
        reads: dict[Region, dict[Expr, None]] = {}
        reader: dict[Region, str] = {}
        owned = self._owned(group.operations)
        for operation in group.operations:
            inner = operation.loops[len(group.loops) :]
            for piece in operation.reads:
                if piece.region.root not in made:
                    reader.setdefault(piece.region, operation.path)
                    reads.setdefault(piece.region, {})[_gated(piece.elements, inner)] = None
        touched = {region: _union(region, list(amounts)) for region, amounts in reads.items()}
        for region, amount in touched.items():
            if region.parent is not None and touched.get(region.root) == region.root.elements:
                continue
            loops = _deeper(owned[region.root], group.loops)
            resource = Traffic(self._kind(region), Direction.READ)
            total = times(amount * region.width, loops)
            yield Entry(reader[region], resource, total, group.name)

    def _writes(self, group: KernelGroup, index: int) -> Iterator[Entry]:
        for operation in group.operations:
            for piece in operation.writes:
                region = piece.region
                if self._last_use.get(region, -1) > index:
                    kept = region in self._kept
                    loops = _deeper(region.loops, group.loops) if kept else group.loops
                    resource = Traffic(self._kind(region), Direction.WRITTEN)
                    amount = piece.elements
                    if not kept:
                        amount = _gated(amount, region.loops[len(group.loops) :])
                    total = times(amount * region.width, loops)
                    yield Entry(operation.path, resource, total, group.name)

    def live(self, named: Mapping[Region, int], *, copies_cache: bool) -> Iterator[Entry]:
        """Live activations at each kernel: what came before and is still needed, and what it makes.

        What a repeated body was given beforehand, as a backward pass is given what the forward pass
        saved, is there for all its runs when the first one begins.

        Parameters
        ----------
        named : mapping of Region to int
            The last kernel at which a name keeps memory alive, if that is beyond its last use.
        copies_cache : bool
            Whether what is cached lies in memory twice while new entries go behind it.
        """
        live = self.given()
        until = {root: max(last, named.get(root, last)) for root, last in self._last_use.items()}
        for index, group in enumerate(self._groups):
            for root in (p.region for op in group.operations for p in op.writes):
                if self._kind(root) is Kind.ACTIVATION and until.get(root, -1) > index:
                    live[root] = _gated(root.elements * root.width, root.loops)
            copied = self._copied(group) if copies_cache else []
            together = sp.Add(*live.values(), *copied)
            for operation in group.operations:
                yield Entry(operation.path, Storage(Kind.ACTIVATION), together)
            for root in [root for root in live if until[root] <= index]:
                del live[root]

    def given(self) -> dict[Region, Expr]:
        """The activations that lie in memory before the first kernel, in bytes."""
        operations = [operation for group in self._groups for operation in group.operations]
        owned = self._owned(operations)
        roots = dict.fromkeys(p.region.root for op in operations for p in op.reads)
        return {
            root: times(
                _gated(root.elements * root.width, root.loops),
                [loop for loop in owned[root] if not loop.condition],
            )
            for root in roots
            if root not in self._made and self._kind(root) is Kind.ACTIVATION
        }

    def _copied(self, group: KernelGroup) -> list[Expr]:
        """What is cached and copied: its old place is not let go of before the new one is full."""
        return [
            _gated(piece.elements * piece.region.width, piece.region.loops)
            for operation in group.operations
            for piece in operation.writes
            if piece.region.kind is Kind.KV and piece.region not in self._kept
        ]

    def _owned(self, operations: Iterable[Operation]) -> dict[Region, tuple[Loop, ...]]:
        """The loops of which each run reads memory of its own, for all that operations read.

        An operator inside the loop that memory belongs to finds its run's; one behind it finds
        that of the last run, and so does whoever reads what this graph makes.
        """
        owned: dict[Region, tuple[Loop, ...]] = {}
        for operation in operations:
            for piece in operation.reads:
                root = piece.region.root
                own = self._saved.get(root, root.loops)
                shared = () if root in self._made else _common([own, operation.loops])
                owned[root] = max(owned.get(root, ()), shared, key=len)
        return owned

    def _kind(self, region: Region) -> Kind:
        """What a region holds; what every run leaves behind and is no cache is a gradient."""
        if region.kind is Kind.ACTIVATION and region.root in self._kept:
            return Kind.GRADIENT
        return region.kind


def _common(chains: list[tuple[Loop, ...]]) -> tuple[Loop, ...]:
    """The loops around all operations of a kernel."""
    shared = chains[0]
    for chain in chains:
        while shared != chain[: len(shared)]:
            shared = shared[:-1]
    return shared


def _deeper(own: tuple[Loop, ...], around: tuple[Loop, ...]) -> tuple[Loop, ...]:
    """How often memory that each run of its loops has for itself crosses the border of a kernel.

    That is weights, cache and gradients of each repeated layer: where their loop lies inside the
    kernel, they cross once for each of its runs, not once for each run of the kernel.
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


def _held(graph: Graph) -> Iterator[Entry]:
    """Weights, cache and gradients by name."""
    for path, weight in graph.weights.items():
        yield Entry(path, Storage(Kind.WEIGHT), held(weight))
    for operation in graph.operations:
        for tensor in operation.outputs:
            if tensor.pieces[0].region.kind is Kind.KV:
                yield Entry(operation.path, Storage(Kind.KV), held(tensor))
    for tensor in graph.kept:
        if tensor.pieces[0].region.kind is Kind.ACTIVATION:
            region = tensor.pieces[-1].region
            whole = times(tensor.elements * region.width, region.loops)
            yield Entry(tensor.name, Storage(Kind.GRADIENT), whole)


def held(tensor: Tensor) -> Expr:
    """The bytes of a tensor in all runs of the loops around it."""
    return sp.Add(
        *(times(piece.elements * piece.region.width, piece.region.loops) for piece in tensor.pieces)
    )
