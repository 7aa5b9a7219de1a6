"""Sweeps: box after box, on all cores or on a cluster; points are kept, written or reduced."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig
from symcost.numeric.boxes import Box, Boxes
from symcost.sweeps.axes import Axes, Axis
from symcost.sweeps.block import MOST_KEPT, Block, counted
from symcost.sweeps.describing import described
from symcost.sweeps.files.dataset import dataset
from symcost.sweeps.files.description import library
from symcost.sweeps.files.store import Store, open_store
from symcost.sweeps.plan import Plan, listed
from symcost.sweeps.reductions.reduction import Reduction, parse_reduction

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many points are done, from 0 in each pass, and of how many."""

_CHUNK = 1 << 22
"""Numbers of a chunk, all metrics together."""
_MOST_POINTS = 1 << 21
"""Points of a chunk."""
_AT_ONCE = 4
"""Chunks that each core is given at a time."""
_PATIENCE = 10
"""Seconds in which a cluster has to answer."""


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
            No point holds the conditions, or the extra `sweep` is not installed.
        """
        if self.indices is not None and not len(self.indices):
            raise InputError("there is no dataset: no point holds the conditions")
        left = None if self.indices is None else Axis.table(self.coordinates)
        what = described(self.plan, Boxes(self.plan.points.shape, _MOST_POINTS), left)
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
    return run(
        plan,
        reduce=reduce,
        out=out,
        resume=resume,
        overwrite=overwrite,
        scheduler=scheduler,
        chunk=chunk,
        progress=progress,
    )


def run(
    plan: Plan,
    *,
    reduce: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    scheduler: str | None = None,
    chunk: int | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Do what is planned; the parameters are those of `sweep`."""
    if resume and out is None:
        raise InputError("--resume goes on with a file; give --out FILE.parquet or FILE.zarr")
    per_point = len(plan.metrics)
    chunk = min(_MOST_POINTS, _CHUNK // per_point) if chunk is None else chunk
    boxes = Boxes(plan.points.shape, chunk)
    asked = {text: _reduction(text, plan) for text in listed("reduce", reduce)}
    keep = out is None and not asked
    if keep and plan.points.size * per_point * 8 > MOST_KEPT:
        raise InputError(
            f"{counted(plan.points.size, per_point)} are too many to keep in memory; write them to "
            "a file, or reduce them"
        )
    # What is there is not touched before the workers answer.
    with _workers(plan, scheduler) as workers:
        opened: Any = nullcontext()
        if out is not None:
            what = described(plan, boxes)
            opened = open_store(Path(out), what, resume=resume, overwrite=overwrite)
        with opened as store:
            kept, reduced = _run(workers, boxes, plan, store, asked, keep=keep, progress=progress)
    columns = {
        name: np.concatenate([block.columns[name] for block in kept])
        for name in (plan.metrics if keep else ())
    }
    indices = [block.indices for block in kept if block.indices is not None]
    return Sweep(plan, columns, np.concatenate(indices) if indices else None, reduced)


def _reduction(text: str, plan: Plan) -> Reduction:
    reduction = parse_reduction(text)
    for column in reduction.columns:
        if column not in plan.metrics:
            raise InputError(
                f"{text!r} reduces {column}; the sweep has {', '.join(plan.metrics)}: ask for it"
            )
    return reduction


_Task: TypeAlias = tuple[Box, tuple[Reduction, ...], bool]
_Done: TypeAlias = tuple[Block | None, list[Any]]
_Workers: TypeAlias = Callable[[Iterator[_Task]], Iterator[_Done]]


def _work(plan: Plan, box: Box, reductions: tuple[Reduction, ...], whole: bool) -> _Done:
    """What one box gives: its block, if it is wanted, and partial results."""
    needed = {column for reduction in reductions for column in reduction.columns}
    block = plan.block(box, tuple(plan.metrics if whole else needed))
    return block if whole else None, [reduction.partial(block) for reduction in reductions]


def _run(
    workers: _Workers,
    boxes: Boxes,
    plan: Plan,
    store: Store | None,
    asked: Mapping[str, Reduction],
    *,
    keep: bool,
    progress: Progress | None,
) -> tuple[list[Block], dict[str, Any]]:
    """Pass over all boxes, as often as reductions need it; blocks are written and kept once."""
    kept: list[Block] = []
    reduced: dict[str, Any] = {}
    finished = frozenset[int]() if store is None else store.finished
    pending, first = dict(asked), True
    while pending or first:
        whole = first and (keep or store is not None)
        reductions = tuple(pending.values())
        merged: list[Any] = []
        numbers = [n for n in range(len(boxes)) if reductions or n not in finished]
        tasks = ((boxes[n], reductions, whole and n not in finished) for n in numbers)
        done = 0
        if progress is not None:
            progress(done, plan.points.size)
        for number, (block, partials) in zip(numbers, workers(tasks), strict=False):
            if block is not None and store is not None:
                store.write(number, block)
            elif block is not None:
                kept.append(block)
            pairs = zip(reductions, merged or [None] * len(partials), partials, strict=True)
            merged = [p if m is None else r.merge(m, p) for r, m, p in pairs]
            done += boxes[number].size
            if progress is not None:
                progress(done, plan.points.size)
            settled = all(r.settled(m) for r, m in zip(reductions, merged, strict=True))
            if reductions and not whole and settled:
                break
        for (text, reduction), found in zip(tuple(pending.items()), merged, strict=True):
            further = reduction.refined(found)
            if further is None:
                reduced[text] = pending.pop(text).result(found)
            else:
                pending[text] = further
        first = False
    return kept, {text: reduced[text] for text in asked}


@contextmanager
def _workers(plan: Plan, scheduler: str | None) -> Iterator[_Workers]:
    """What does tasks, several at once, and yields what they give in order."""
    if scheduler is None and importlib.util.find_spec("dask") is None:
        yield lambda tasks: (_work(plan, *task) for task in tasks)
        return
    dask = library("dask")
    with ExitStack() as stack:
        where: Any = "threads"
        shared: Any = plan
        count = os.cpu_count() or 1
        if scheduler is not None:
            distributed = library("dask.distributed")
            try:
                client = distributed.Client(scheduler, timeout=_PATIENCE, set_as_default=False)
                where = stack.enter_context(client)
                shared = where.scatter(plan, broadcast=True)
            except (OSError, ValueError) as error:
                raise InputError(f"scheduler {scheduler} cannot be reached: {error}") from None
            count = sum(where.ncores().values()) or 1
        task_of = dask.delayed(_work, pure=False)

        def workers(tasks: Iterator[_Task]) -> Iterator[_Done]:
            while window := list(islice(tasks, _AT_ONCE * count)):
                yield from dask.compute(*(task_of(shared, *t) for t in window), scheduler=where)

        yield workers
