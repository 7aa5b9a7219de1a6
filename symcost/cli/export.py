"""The command `symcost export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symcost.cli import options as given
from symcost.cli.output import formulas_status
from symcost.errors import InputError
from symcost.execution import Execution
from symcost.export.files import Language, exported, figure_names
from symcost.export.targets import About
from symcost.figures import formula_of
from symcost.files import require_writable, write_all
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, symbolic_costs
from symcost.symbols import T

_STAGES = {
    "vision": "the vision tower and the projector on all pages of a batch",
    "prefill": "vision, the decoder on the whole context, and the head",
    "decode": "T steps behind K cached tokens, together",
    "generation": "a prefill and T steps behind it",
}


def export(
    model: given.Model,
    lang: Annotated[Language, typer.Option(help="What to write.")],
    figure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STAGE[.PART].METRIC",
            help="prefill.flops, vision.sam.bytes_read; may be given several times. Default: all "
            "of the stages vision, prefill and decode and their parts.",
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where files are written.")
    ] = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    reference: given.Reference = "vendor",
    execution: given.ExecutionOption = Execution.EAGER.value,
    lm_head: given.LmHead = given.Head.ALL,
    width: given.Width = "weights=2,activations=2,kv=2",
    experts: given.Experts = Assumption.EXPECTED.value,
    no_image: given.NoImage = False,
    config: given.Config = None,
) -> None:
    """The formulas where they are used: Python, C or JavaScript, LaTeX, JSON, CSV, a workbook."""
    widths, routing, how = Widths.parse(width), Routing.parse(experts), Executions.parse(execution)
    with formulas_status():
        costs = symbolic_costs(
            given.model(
                model,
                views=None if no_image else SYMBOLIC,
                reference=reference,
                execution=how,
                lm_head=lm_head,
                widths=widths,
                routing=routing,
                config=config,
            )
        )
        left_out = {"generation", "vision"} if no_image else {"generation"}
        stages = {name: cost for name, cost in costs.items() if name not in left_out}
        names = dict.fromkeys(figure or figure_names(stages))
        assumptions = {
            "reference": reference,
            "execution": str(how),
            "head on": f"{lm_head.value} tokens" if lm_head is given.Head.ALL else "last token",
            "widths": str(widths),
            "experts": str(routing),
        }
        assumptions |= {"images": "none"} if no_image else {}
        assumptions |= {"configuration": "of its own"} if config is not None else {}
        about = About(model, assumptions, _STAGES)
        sizes = Workload.from_options(no_image=no_image).bindings | {T: 1} | widths.bindings
        formulas = {name: formula_of(costs, name) for name in names}
        files = exported(lang, formulas, about, sizes)
    written = {folder / name: text for name, text in files.items()}
    for path in written:
        require_writable(path)
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists; --overwrite replaces it")
    write_all(written)
    for path in written:
        typer.echo(f"wrote {path}")
