"""The command `symcost sensitivity`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from symcost.cli import options as given
from symcost.cli.options import Format
from symcost.cli.output import emit, section_tables
from symcost.execution import Execution
from symcost.figures import formula_of
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import SYMBOLIC, Views
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, experts_of, symbolic_costs
from symcost.render.document.display import math
from symcost.render.sections import sections_markdown
from symcost.render.sensitivity import FigureSensitivity, SensitivityReport
from symcost.symbols import T, w_a, w_kv, w_w

FIGURES = (
    "vision.flops",
    "prefill.flops",
    "decode.flops",
    "decode.bytes_moved",
    "generation.resident_bytes",
)
"""What is looked at unless figures are named."""


def sensitivity(
    model: given.Model,
    figures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FIGURE]…",
            help="STAGE[.PART].METRIC of vision, prefill, decode or generation, such as "
            f"prefill.decoder.flops. Default: {', '.join(FIGURES)}.",
        ),
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
    reference: given.Reference = "vendor",
    execution: given.ExecutionOption = Execution.EAGER.value,
    lm_head: given.LmHead = given.Head.ALL,
    width: given.Width = "weights=2,activations=2,kv=2",
    experts: given.Experts = Assumption.EXPECTED.value,
    config: given.Config = None,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """What each size does to figures at a workload: derivatives, one more step, largest terms."""
    workload = Workload.from_options(
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
    )
    widths, routing, executions = (
        Widths.parse(width),
        Routing.parse(experts),
        Executions.parse(execution),
    )

    def build(views: Views | None) -> DeepseekOCRModel:
        return given.model(
            model,
            views=views,
            reference=reference,
            execution=executions,
            lm_head=lm_head,
            widths=Widths(w_w, w_a, w_kv, widths.parts),
            routing=routing,
            config=config,
        )

    experts_of(build, workload)  # refuses experts that so few tokens cannot choose
    costs = symbolic_costs(build(None if no_image else SYMBOLIC))
    point = workload.bindings | widths.bindings | {T: workload.new_tokens}
    asked = {name: formula_of(costs, name) for name in dict.fromkeys(figures or FIGURES)}
    result = SensitivityReport(
        model,
        reference,
        str(executions),
        workload.as_dict(),
        tuple(FigureSensitivity.of(name, formula, point) for name, formula in asked.items()),
    )
    if show is Format.JSON:
        emit(json.dumps(result.as_dict(), indent=1) + "\n", output)
    elif show is Format.MARKDOWN:
        emit(sections_markdown(result.sections(math), result.notes(math)), output)
    else:
        emit(lambda _: section_tables(result.sections(), result.notes()), output)
