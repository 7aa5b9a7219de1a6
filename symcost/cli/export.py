"""The command `symcost export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symcost.cli import options as given
from symcost.cli.output import formulas_status
from symcost.errors import InputError
from symcost.execution import Execution
from symcost.export.files import Export, Language
from symcost.files import require_writable, write_all
from symcost.models.deepseek_ocr.config import from_file
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.widths import Widths


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
    with formulas_status():
        files = Export.of(
            model,
            figure or (),
            no_image=no_image,
            reference=reference,
            executions=Executions.parse(execution),
            lm_head=lm_head.value,
            widths=Widths.parse(width),
            routing=Routing.parse(experts),
            config=None if config is None else from_file(config),
        ).files(lang)
    written = {folder / name: text for name, text in files.items()}
    for path in written:
        require_writable(path)
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists; --overwrite replaces it")
    write_all(written)
    for path in written:
        typer.echo(f"wrote {path}")
