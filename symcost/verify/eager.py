"""What is stated of eager execution: bytes by operator, and what is live. Without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from symcost.cost import Direction, Traffic
from symcost.execution import Execution, cost_of, traffic
from symcost.graph import Graph
from symcost.paths import expanded
from symcost.stages import Stage
from symcost.symbols import Expr
from symcost.verify.stated import stage_graphs

Graphs: TypeAlias = Mapping[tuple[Stage, bool], Sequence[Graph]]
"""The graphs of a stage by part, with a page (True) and for text alone (False)."""


@dataclass(frozen=True)
class Share:
    """Bytes that one of the equal layers of a path moves at an operator."""

    path: str
    rule: str
    direction: Direction
    amount: Expr


def graphs_of(model: str) -> Graphs:
    """The graphs of all stages."""
    without_page = {"views": None}
    return {
        (stage, has_page): tuple(graphs.values())
        for has_page, options in ((True, {}), (False, without_page))
        for stage, graphs in stage_graphs(model, **options).items()
    }


def eager_shares(graphs: Iterable[Graph]) -> list[Share]:
    """What graphs move under eager execution."""
    shares: list[Share] = []
    for graph in graphs:
        rules = {operation.path: operation.operator for operation in graph.operations}
        for entry in traffic(graph, Execution.EAGER):
            if entry.amount != 0 and isinstance(entry.resource, Traffic):
                amount = entry.amount / len(expanded(entry.path))
                direction = entry.resource.direction
                shares.append(Share(entry.path, rules[entry.path], direction, amount))
    return shares


def digest(graphs: Graphs) -> str:
    """A fingerprint of all eager traffic and live activations: it changes with any formula."""
    lines: list[str] = []
    for (stage, has_page), parts in graphs.items():
        moved = [f"{s.path} {s.direction} {s.amount}" for s in eager_shares(parts)]
        live = [f"{m}" for graph in parts for m in cost_of(graph, Execution.EAGER).moments]
        lines += [f"{stage} {has_page} {line}" for line in (*moved, *live)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
