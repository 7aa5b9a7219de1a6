"""What the results of a sweep are called and mean, for files and datasets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from symcost.cost import METRICS
from symcost.export.json_tree import encode
from symcost.figures import unit_of
from symcost.numeric.boxes import Box
from symcost.sweeps.axes import Axis
from symcost.sweeps.files.description import Column, Coordinate, Description
from symcost.sweeps.plan import Plan
from symcost.version import __version__

NAMES: Mapping[str, tuple[str, str]] = {
    "batch": ("sequences, one page image each", "sequences"),
    "context_len": ("tokens of each sequence in the prefill", "tokens"),
    "prompt_tokens": ("text tokens of the prompt", "tokens"),
    "cached": ("tokens of each sequence that are cached before decoding", "tokens"),
    "new_tokens": ("tokens to decode", "tokens"),
    "base_size": ("side of the global view", "pixels"),
    "tile_size": ("side of a tile", "pixels"),
    "mode": ("how a page is looked at", ""),
    "image": ("size of the page, width and height in pixels", ""),
    "crop_grid": ("columns and rows of tiles", ""),
    "reference": ("implementation that is reproduced", ""),
    "execution": ("how operators are grouped into kernels", ""),
    "lm_head": ("tokens that the head runs on", ""),
    "width": ("bytes per element", ""),
    "experts": ("distinct experts that tokens touch", ""),
}
"""Meaning and unit of what an axis can set."""


def described(plan: Plan, boxes: Sequence[Box], points: Axis | None = None) -> Description:
    """A sweep as far as its files are concerned; of some points only where these are given."""
    axes = plan.points.axes if points is None else (points,)
    return Description(
        axes=tuple(tuple(_coordinates(axis)) for axis in axes),
        columns=tuple(_column(metric, plan) for metric in plan.metrics),
        boxes=boxes,
        filtered=bool(plan.where),
        identity={
            "symcost": __version__,
            "where": [str(condition) for condition in plan.where],
            "fixed": dict(sorted(plan.points.fixed.items())),
            "image": plan.points.image,
            "formulas": _digest(plan.formulas),
        },
    )


def _coordinates(axis: Axis) -> list[Coordinate]:
    return [
        Coordinate(name, column.at(slice(None)), *NAMES[name])
        for name, column in axis.columns.items()
    ]


def _column(metric: str, plan: Plan) -> Column:
    *path, name = metric.split(".")
    meaning = f"{' '.join(path)}: {METRICS[name]}"
    return Column(metric, plan.dtypes[metric], meaning, unit_of(name).value)


def _digest(formulas: Sequence[Mapping[str, Any]]) -> str:
    """What changes when a formula does."""
    trees = [{name: encode(formula) for name, formula in f.items()} for f in formulas]
    return hashlib.blake2b(json.dumps(trees).encode(), digest_size=16).hexdigest()
