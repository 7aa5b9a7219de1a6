"""Reads and writes that are wrong on purpose: each must make the comparison of bytes fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from symcost.exact import Number
from symcost.graph import NO_SCRATCH, Graph, Operation, Scratch
from symcost.stages import Stage
from symcost.tensor import Piece
from symcost.verify.eager import Graphs, eager_shares
from symcost.verify.traffic import Key, Observation, disagreeing

Change = Callable[[Operation], Operation]


def mutants(graphs: Graphs, observations: Sequence[Observation]) -> Iterator[tuple[str, bool]]:
    """Every read and write of every operator doubled, dropped or swapped, and whether it shows.

    Left out is what changes no traffic: a swap of equal reads and writes.
    """
    by_key: dict[tuple[Stage, bool], list[tuple[Observation, dict[Key, Number]]]] = {}
    for observation in observations:
        by_key.setdefault(observation.key, []).append((observation, observation.counted()))
    keys = sorted(by_key, key=lambda key: len(graphs[key][0].operations))
    right = {key: eager_shares(graphs[key]) for key in keys}
    for rule, name, change in _changes([graph for key in keys for graph in graphs[key]]):
        changes, noticed = False, False
        for key in keys:
            shares = eager_shares(_changed(graph, rule, change) for graph in graphs[key])
            changes = changes or shares != right[key]
            noticed = shares != right[key] and any(
                disagreeing(observation, observation.stated(shares), counted)
                for observation, counted in by_key[key]
            )
            if noticed:
                break
        if changes:
            yield f"{rule}: {name}", noticed


def _changed(graph: Graph, rule: str, change: Change) -> Graph:
    operations = [change(op) if op.operator == rule else op for op in graph.operations]
    return replace(graph, operations=operations)


def _changes(graphs: Sequence[Graph]) -> Iterator[tuple[str, str, Change]]:
    """The rule, what is wrong with it, and how it is made wrong."""
    first: dict[str, Operation] = {}
    for graph in graphs:
        for operation in graph.operations:
            first.setdefault(operation.operator, operation)
    for rule, operation in first.items():
        for what, pieces, change in (
            ("read", operation.reads, _read),
            ("write", operation.writes, _written),
        ):
            for index in range(len(pieces)):
                for name, factor in (("doubled", 2), ("dropped", 0)):
                    yield rule, f"{what} {index} {name}", partial(change, index, factor)
        if operation.scratch != NO_SCRATCH:
            for name, factor in (("doubled", 2), ("dropped", 0)):
                yield rule, f"scratch {name}", partial(_scratch_scaled, factor)
        yield rule, "reads and writes swapped", _swapped


def _read(index: int, factor: int, operation: Operation) -> Operation:
    return replace(operation, reads=_scaled(operation.reads, index, factor))


def _written(index: int, factor: int, operation: Operation) -> Operation:
    return replace(operation, writes=_scaled(operation.writes, index, factor))


def _scaled(pieces: tuple[Piece, ...], index: int, factor: int) -> tuple[Piece, ...]:
    return tuple(
        replace(piece, elements=factor * piece.elements) if i == index else piece
        for i, piece in enumerate(pieces)
    )


def _scratch_scaled(factor: int, operation: Operation) -> Operation:
    scratch = operation.scratch
    return replace(operation, scratch=Scratch(factor * scratch.read, factor * scratch.written))


def _swapped(operation: Operation) -> Operation:
    return replace(operation, reads=operation.writes, writes=operation.reads)
