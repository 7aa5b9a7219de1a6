"""The command `symcost sensitivity`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer

from symcost.cli import options as given
from symcost.cli.options import Format
from symcost.cli.output import emit, formulas_status, section_tables
from symcost.cli.request import Request, with_request
from symcost.figures import formula_of
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import experts_of, symbolic_costs
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


@with_request()
def sensitivity(
    request: Request,
    figures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FIGURE]…",
            help="STAGE[.PART].METRIC of vision, prefill, decode or generation, such as "
            f"prefill.decoder.flops. Default: {', '.join(FIGURES)}.",
        ),
    ] = None,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """What each size does to figures at a workload: derivatives, one more step, largest terms."""
    workload, widths = request.workload(), request.widths
    build = replace(request, widths=Widths(w_w, w_a, w_kv, widths.parts)).build
    experts_of(build, workload)  # refuses experts that so few tokens cannot choose
    with formulas_status():
        costs = symbolic_costs(build(None if workload.views is None else SYMBOLIC))
        point = workload.bindings | widths.bindings | {T: workload.new_tokens}
        asked = {name: formula_of(costs, name) for name in dict.fromkeys(figures or FIGURES)}
        result = SensitivityReport(
            request.told(),
            tuple(FigureSensitivity.of(name, formula, point) for name, formula in asked.items()),
        )
    if show is Format.JSON:
        emit(json.dumps(result.as_dict(), indent=1) + "\n", output)
    elif show is Format.MARKDOWN:
        emit(sections_markdown(result.sections(math), result.notes(math), request.title()), output)
    else:
        emit(
            lambda width: section_tables(
                result.sections(), result.notes(), request.title(), width=width
            ),
            output,
        )
