"""Sweeps: box after box, on all cores or on a cluster; points are kept, written or reduced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import reduce as folded
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig
from symcost.numeric.boxes import Box, Boxes
from symcost.sweeps.axes import Axes
from symcost.sweeps.block import Block
from symcost.sweeps.describing import described
from symcost.sweeps.files.dataset import dataset
from symcost.sweeps.files.description import library
from symcost.sweeps.files.store import Store, open_store
from symcost.sweeps.plan import Plan
from symcost.sweeps.reductions import Reduction, parse_reduction

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many points are done, and of how many."""

MOST_KEPT = 1 << 32
"""Bytes of results that are kept in memory."""

_CHUNK = 1 << 23
"""Numbers of a chunk, all metrics together."""
_MOST_POINTS = 1 << 20
"""Points of a chunk."""
_AT_ONCE = 4
"""Chunks in work for each worker."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What came out of a sweep.

    Parameters
    ----------
    plan : Plan
        What was computed.
    columns : mapping of str to array
        Metrics of the points that are left, in flat order; none where they were written or reduced.
    indices : array of int64, optional
        The flat indices of these points; None where no filter was given.
    reduced : mapping of str to result
        By the text of the reduction.
    """

    plan: Plan
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    indices: NDArray[np.int64] | None = None
    reduced: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> NDArray[Any]:
        """A metric over the grid; with a filter, at the points that are left."""
        column = self.columns[metric]
        return column.reshape(self.plan.points.shape) if self.indices is None else column

    @property
    def coordinates(self) -> dict[str, NDArray[Any]]:
        """What axes set: each axis its values; with a filter, the values at the points left."""
        if self.indices is not None:
            return self.plan.points.coordinates(self.indices)
        axes = self.plan.points.axes
        return {name: c.at(slice(None)) for axis in axes for name, c in axis.columns.items()}

    @property
    def dataset(self) -> Any:
        """An xarray.Dataset with named coordinates and units; of points where a filter was given.

        Raises
        ------
        InputError
            The extra `sweep` is not installed.
        """
        what = described(self.plan, Boxes(self.plan.points.shape, _MOST_POINTS))
        if self.indices is not None:
            what = what.at_points(self.coordinates)
        return dataset(what, {metric: self[metric] for metric in self.columns})


def sweep(
    model: str,
    axes: Axes,
    metrics: Sequence[str] | None = None,
    *,
    where: Sequence[str] = (),
    reduce: Sequence[str] = (),
    dtype: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    scheduler: str | None = None,
    chunk: int | None = None,
    config: DeepseekOCRConfig | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Sweep:
    """Costs of all points that axes span: kept in memory, written to a file, or reduced.

    Parameters
    ----------
    model : str
        A model by name.
    axes : mapping of str or tuple of str to sequence, or sequence of Axis
        What changes: `batch`, `context_len`, `prompt_tokens`, `cached`, `new_tokens`, `base_size`,
        `tile_size`, `mode`, `image`, `crop_grid`, `reference`, `execution`, `lm_head`, `width`,
        `experts`. Names in a tuple change together.
    metrics : sequence of str, optional
        `prefill.flops`, `vision.sam.bytes_read`, `decode.resident_bytes`, …; a metric alone is that
        of the three stages.
    where : sequence of str
        Conditions that points are to hold, such as "prefill.resident_bytes <= 80e9".
    reduce : sequence of str
        What to find instead of keeping the points, such as "min:decode.flops"; see
        `parse_reduction`.
    dtype : {None, "float64"}
        Exact integers, or rounded to float64.
    out : path, optional
        A FILE.parquet, FILE.csv, FILE.zarr or FILE.nc that takes the points.
    resume, overwrite : bool
        Go on with a file that is there, or replace it.
    scheduler : str, optional
        The address of a Dask cluster, such as "tcp://host:8786"; all cores of this machine unless
        given.
    chunk : int, optional
        Points that are computed together.
    config : DeepseekOCRConfig, optional
        Instead of the published one.
    progress : callable, optional
        Is told how many points are done, and of how many.
    **options
        What is the same at all points, as on the command line: `mode`, `image`, `batch`, ….

    Raises
    ------
    InputError
        A name, a value, a point or a file cannot be used, or a figure does not fit into 64 bits.
    """
    plan = Plan(model, axes, metrics, where=where, dtype=dtype, config=config, **options)
    per_point = max(1, len(plan.metrics))
    boxes = Boxes(plan.points.shape, chunk or min(_MOST_POINTS, _CHUNK // per_point))
    asked = {text: _reduction(text, plan) for text in reduce}
    keep = out is None and not asked
    if keep and plan.points.size * per_point * 8 > MOST_KEPT:
        raise InputError(
            f"{plan.points.size} points of {per_point} metrics are too many to keep in memory; "
            "write them to a file, or reduce them"
        )
    opened: Any = nullcontext()
    if out is not None:
        what = described(plan, boxes)
        opened = open_store(Path(out), what, resume=resume, overwrite=overwrite)
    with opened as store, _workers(scheduler) as workers:
        run = _Run(plan, boxes, workers, progress)
        kept = run.first_pass(store, asked, keep=keep)
        reduced = run.reduced(asked)
    columns = {name: np.concatenate([b.columns[name] for b in kept]) for name in plan.metrics if kept}
    indices = [block.indices for block in kept if block.indices is not None]
    return Sweep(plan, columns, np.concatenate(indices) if indices else None, reduced)
