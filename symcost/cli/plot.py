"""The command `symcost plot`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from symcost.cli import options as given
from symcost.cli.devices import DevicesFile
from symcost.cli.output import formulas_status
from symcost.cli.request import Request, with_request
from symcost.errors import InputError
from symcost.execution import Execution
from symcost.files import require_writable, write_all
from symcost.insight.collectives import AllReduce
from symcost.insight.devices import device_named
from symcost.insight.subject import ANSWER, Subject
from symcost.models.deepseek_ocr.executions import Executions
from symcost.render.pictures import SUFFIXES
from symcost.render.plots import Kind


@with_request(lm_head=given.Head.LAST, new_tokens=ANSWER)
def plot(
    request: Request,
    kind: Annotated[
        Kind,
        typer.Option(
            help="breakdown: FLOPs and bytes by part. growth: over batch, context, crops and side "
            "of the view. roofline: stages and parts on --device. executions: eager, fused and "
            "ideal side by side. shares: of the parts, over batch and context."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="FILE.svg or FILE.png.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="What a roofline is of, as `symcost devices` lists it."),
    ] = None,
    devices: DevicesFile = None,
    execution: given.ExecutionOrNone = None,
) -> None:
    """A picture of one workload: fused kernels, an A4 page and an answer unless told otherwise."""
    if kind is Kind.EXECUTIONS and execution is not None:
        raise InputError("--kind executions excludes --execution; it shows all of them")
    if kind is Kind.ROOFLINE and len(device or ()) != 1:
        raise InputError("--kind roofline needs one --device, such as --device H100-SXM")
    if kind is not Kind.ROOFLINE and (device or devices is not None):
        raise InputError(f"--kind {kind} excludes --device and --devices; a roofline has one")
    on = device_named(device[0], devices) if device else None
    # These load NumPy, which other commands do not need.
    from symcost.render.plots.asked import Asked  # noqa: PLC0415
    from symcost.render.plots.drawing import picture  # noqa: PLC0415

    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{output} has no known ending; allowed: FILE.svg, FILE.png")
    require_writable(output)
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists; --overwrite replaces it")
    under = replace(request, executions=Executions.parse(execution or Execution.FUSED))

    def subject(opened: str, other: Execution | None) -> Subject:
        changed = under if other is None else replace(under, executions=Executions(other, other))
        return changed.subject(opened, AllReduce.RING)

    with formulas_status():
        asked = Asked(under.title(), request.workload(), subject)
        found = picture(asked, kind, suffix, on)
    write_all({output: found})
    typer.echo(f"wrote {output}")
