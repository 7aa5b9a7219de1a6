"""A proof as people read it. It is given as the object that JSON shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from symcost.paths import indexes

PROOF_COLUMNS = ("stage", "module", "proved for all sizes", "by")
_LAYER = re.compile(r"(?<=\blayers\.)\d+")


@dataclass(frozen=True)
class Certified:
    """Certificates that say the same of equal layers, as one.

    Parameters
    ----------
    stage, path : str
        Where, with the numbers of the layers that stand together.
    first : str
        The path of the first of them.
    statement, domain : str
        What is proved, and for which sizes.
    methods : tuple of str
        How.
    modules : int
        How many modules stand together.
    """

    stage: str
    path: str
    first: str
    statement: str
    domain: str
    methods: tuple[str, ...]
    modules: int


def certified(certificates: Iterable[Mapping[str, Any]]) -> list[Certified]:
    """Certificates with equal layers put together, in the order of the first of each."""
    layers: dict[tuple[Any, ...], list[str]] = {}
    for found in certificates:
        key = (
            found["stage"],
            _LAYER.sub("*", found["path"]),
            found["statement"],
            found["domain"],
            tuple(found["methods"]),
        )
        layers.setdefault(key, []).append(found["path"])
    return [
        Certified(stage, _together(paths), paths[0], statement, domain, methods, len(paths))
        for (stage, _, statement, domain, methods), paths in layers.items()
    ]


def _together(paths: list[str]) -> str:
    numbers = [int(found.group()) for path in paths if (found := _LAYER.search(path))]
    return _LAYER.sub(indexes(numbers), paths[0]) if numbers else paths[0]


def proof_summary(found: Mapping[str, Any]) -> list[str]:
    """What came out, in a few sentences."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    lines = [
        f"{row['stage']}: {row['certified']} of {row['with_work']} modules with matrix work "
        f"certified; {row['without_work']} shown to have none"
        for row in found["coverage"]
    ]
    traces = sum(len(method["cases"]) for method in found["methods"].values())
    certificates = len(found["certificates"])
    return [*lines, f"{certificates:,} certificates from {traces} traces ({versions})"]


def proof_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The certificates of the parts of each stage; all of them are in JSON."""
    return [
        (row.stage, row.path or "whole", row.statement.partition(" = ")[2], ", ".join(row.methods))
        for row in certified(found["certificates"])
        if row.path in _PARTS
    ]


_PARTS = (
    "",
    "model.vision_tower.sam_encoder",
    "model.vision_tower.vision_encoder",
    "model.multi_modal_projector",
    "model.language_model",
    "lm_head",
)


def proof_markdown(found: Mapping[str, Any]) -> str:
    """The proof as a table of the stages and their parts, with what came out behind it."""
    lines = [
        "| " + " | ".join(PROOF_COLUMNS) + " |",
        "| --- | --- | --- | --- |",
        *(
            f"| {stage} | {path} | `{formula}` | {methods} |"
            for stage, path, formula, methods in proof_rows(found)
        ),
        "",
        *(f"* {line}" for line in proof_summary(found)),
    ]
    return "\n".join(lines) + "\n"
