"""The report of one workload: as an object, as rows, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from symcost.cost import Cost, StageCost
from symcost.render.figures import cost_object, human

COLUMNS = (
    "FLOPs",
    "matrix",
    "vector",
    "read",
    "written",
    "FLOPs/byte",
    "weights",
    "activations",
    "KV cache",
)


@dataclass(frozen=True)
class Report:
    """Costs of all stages on one workload, and how they were asked for."""

    model: str
    reference: str
    execution: str
    workload: Mapping[str, Any]
    stages: Mapping[str, StageCost]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON shows it."""
        return {
            "model": self.model,
            "reference": self.reference,
            "execution": self.execution,
            "workload": dict(self.workload),
            "stages": {name: cost_object(cost) for name, cost in self.stages.items()},
        }

    @property
    def title(self) -> str:
        """What was asked, in a line or two."""
        w = self.workload
        if w["base_size"] is None:
            page = "no image"
        else:
            columns, rows = w["crop_grid"]
            tiles = f"{columns}x{rows} tiles of {w['tile_size']} px" if w["crops"] else "no crops"
            page = f"view of {w['base_size']} px, {tiles}: {w['image_tokens']} image tokens"
        steps = "1 token" if w["new_tokens"] == 1 else f"{w['new_tokens']} tokens"
        return (
            f"{self.model} ({self.reference}, {self.execution}), batch {w['batch']}; {page}; "
            f"prefill of {w['context_len']}; decode of {steps} on {w['cached']} cached"
        )

    def rows(self) -> Iterator[tuple[str, int, tuple[str, ...]]]:
        """Each stage and part: name, depth and the cells of `COLUMNS`."""
        for name, cost in self.stages.items():
            yield from _rows(name, cost, 0)

    def markdown(self) -> str:
        """The report as a table."""
        lines = [
            f"{self.title}.",
            "",
            "| " + " | ".join(("", *COLUMNS)) + " |",
            "| --- |" + " ---: |" * len(COLUMNS),
        ]
        for name, depth, cells in self.rows():
            label = f"**{name}**" if depth == 0 else "&nbsp;" * 4 * depth + name
            unbroken = (cell.replace(" ", "&nbsp;") for cell in cells)
            lines.append("| " + " | ".join((label, *unbroken)) + " |")
        return "\n".join(lines) + "\n"


def _rows(name: str, cost: Cost, depth: int) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    yield (
        name,
        depth,
        (
            human(cost.flops),
            human(cost.matrix_flops),
            human(cost.vector_flops),
            human(cost.bytes_read, "B"),
            human(cost.bytes_written, "B"),
            f"{cost.intensity:.4g}",
            human(cost.weight_bytes, "B"),
            human(cost.activation_bytes, "B"),
            human(cost.kv_bytes, "B"),
        ),
    )
    for part, share in cost.parts.items():
        yield from _rows(part, share, depth + 1)
