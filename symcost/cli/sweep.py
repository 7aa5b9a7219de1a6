"""The command `symcost sweep`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symcost.cli import options as given
from symcost.cli.options import Format
from symcost.cli.output import emit, point_bar, section_tables
from symcost.errors import InputError
from symcost.files import require_writable, write_all
from symcost.models import require_model
from symcost.models.deepseek_ocr.config import from_file
from symcost.render.pictures import SUFFIXES
from symcost.render.sections import sections_markdown

if TYPE_CHECKING:
    from symcost.sweeps.sweeping import Sweep


def sweep(
    model: given.Model,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="What changes: batch=1:256:*2, context_len=1024:8192:+128, mode=base,gundam, "
            "width='kv=2;kv=1'; together: batch,cached=1,500;2,900. May be given several times.",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="A CSV or Parquet file of points, with the names of axes as columns."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="prefill.flops, vision.sam.bytes_read, generation.resident_bytes; without a stage "
            "that of vision, prefill and decode. May be given several times. Default: flops, "
            "bytes_read, bytes_written, resident_bytes."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME OP VALUE",
            help="Keep points that hold it: 'prefill.resident_bytes <= 80e9', 'batch >= 4', "
            "'context_len >= image_tokens'. May be given several times.",
        ),
    ] = None,
    reduce: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:METRIC…",
            help="What to find: min:METRIC, max:METRIC, top:METRIC:K, bottom:METRIC:K, "
            "quantiles:METRIC:0.5,0.99, histogram:METRIC:20, pareto:METRIC,-METRIC, first, count. "
            "Default: least and greatest of all metrics.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write all points: FILE.parquet, .csv, .zarr or .nc."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with FILE.parquet or FILE.zarr.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the metrics: FILE.svg or FILE.png.")
    ] = None,
    float64: Annotated[
        bool, typer.Option("--float64", help="Rounded to float64 instead of exact integers.")
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="A Dask cluster. Default: all cores here."),
    ] = None,
    mode: given.Mode = None,
    image: given.Image = None,
    base_size: given.BaseSize = None,
    tile_size: given.TileSize = None,
    crop_grid: given.CropGrid = None,
    no_image: given.NoImage = False,
    batch: given.Batch = None,
    prompt_tokens: given.PromptTokens = None,
    context_len: given.ContextLen = None,
    cached: given.Cached = None,
    new_tokens: given.NewTokens = None,
    reference: given.ReferenceOrNone = None,
    execution: given.ExecutionOrNone = None,
    lm_head: given.LmHeadOrNone = None,
    width: given.WidthOrNone = None,
    experts: given.ExpertsOrNone = None,
    config: given.Config = None,
    show: given.FormatOption = Format.TABLE,
) -> None:
    """Costs over grids and tables of workloads: to a summary, a file or a plot."""
    require_model(model)
    if not axis and table is None:
        raise InputError("nothing changes; give --axis, such as --axis batch=1:256:*2, or --table")
    # These load NumPy and numba, which other commands do not need.
    from symcost.render.sweep_plot import picture, require_drawable  # noqa: PLC0415
    from symcost.sweeps.axes import Axis  # noqa: PLC0415
    from symcost.sweeps.files.tables import read_table  # noqa: PLC0415
    from symcost.sweeps.plan import Plan  # noqa: PLC0415
    from symcost.sweeps.sweeping import run  # noqa: PLC0415

    if plot is not None:
        if plot.suffix not in SUFFIXES:
            raise InputError(f"{plot} has no known ending; allowed: FILE.svg, FILE.png")
        require_writable(plot)
        if plot.exists() and not overwrite:
            raise InputError(f"{plot} exists; --overwrite replaces it")
    axes = [Axis.parse(text) for text in axis or ()]
    if table is not None:
        axes.insert(0, Axis.table(read_table(table)))
    with point_bar() as progress:
        plan = Plan(
            model,
            axes,
            metric,
            where=where or (),
            dtype="float64" if float64 else None,
            config=None if config is None else from_file(config),
            mode=mode,
            image=image,
            base_size=base_size,
            tile_size=tile_size,
            crop_grid=crop_grid,
            no_image=no_image,
            batch=batch,
            prompt_tokens=prompt_tokens,
            context_len=context_len,
            cached=cached,
            new_tokens=new_tokens,
            reference=reference,
            execution=execution,
            lm_head=None if lm_head is None else lm_head.value,
            width=width,
            experts=experts,
        )
        if plot is not None:
            require_drawable(plan)
        ends = [f"{end}:{name}" for name in plan.metrics for end in ("min", "max")]
        result = run(
            plan,
            # What is there already is not computed again for a summary.
            reduce=reduce or ([] if resume else ends),
            out=out,
            resume=resume,
            overwrite=overwrite,
            scheduler=scheduler,
            progress=progress,
        )
    written = [] if out is None else [out]
    try:
        if plot is not None:
            write_all({plot: picture(run(plan), plot.suffix)})
            written.append(plot)
    finally:
        # What came out is told even where it cannot be drawn.
        _tell(result, show, written)


def _tell(result: Sweep, show: Format, written: list[Path]) -> None:
    from symcost.render.sweep import sweep_object, sweep_sections, sweep_summary  # noqa: PLC0415

    found = sweep_object(result)
    if show is Format.JSON:
        emit(json.dumps(found, indent=1) + "\n", None)
        return
    sections = list(sweep_sections(found))
    summary = [*sweep_summary(found), *(f"wrote {path}" for path in written)]
    if show is Format.MARKDOWN:
        emit(sections_markdown(sections, summary), None)
    else:
        emit(lambda width: section_tables(sections, summary, width=width), None)
