"""The program `symcost`: its commands, and errors in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from symcost import version
from symcost.cli import options as given
from symcost.cli.devices import DeviceNames, DevicesFile, devices
from symcost.cli.diff import diff
from symcost.cli.export import export
from symcost.cli.options import Format
from symcost.cli.output import (
    emit,
    formula_table,
    formulas_status,
    progress_bar,
    proof_table,
    report_tables,
    section_tables,
    verification_table,
)
from symcost.cli.plot import plot
from symcost.cli.request import Request, with_request
from symcost.cli.roofline import roofline
from symcost.cli.sensitivity import sensitivity
from symcost.cli.solve import solve
from symcost.cli.sweep import sweep
from symcost.errors import InputError, SymcostError
from symcost.execution import Execution
from symcost.files import require_writable, write_all
from symcost.insight.collectives import AllReduce
from symcost.insight.devices import device_named
from symcost.insight.latency import Rooflines
from symcost.models import require_model
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import (
    collectives_of,
    costs_of,
    experts_of,
    stage_costs,
    symbolic_stages,
)
from symcost.render.byte_verification import byte_markdown, byte_sections, byte_summary
from symcost.render.generate import differences, generated_files
from symcost.render.latency import Answer, answer_of
from symcost.render.listing import FormulaFormat, formula_rows, formulas_as
from symcost.render.proof import proof_markdown
from symcost.render.report import Comparison, Report
from symcost.render.verification import verification_markdown
from symcost.stages import Stage
from symcost.verify import room
from symcost.verify.grid import FULL, FULL_BYTES, QUICK, QUICK_BYTES
from symcost.verify.targets import Target

app = typer.Typer(
    name="symcost",
    help="What a neural network costs, as closed formulas.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"symcost {version.__version__}")
        raise typer.Exit


@app.callback()
def program(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """What a neural network costs, as closed formulas."""


@app.command()
@with_request()
def report(
    request: Request,
    execution: given.ExecutionOrAll = Execution.EAGER.value,
    backward: Annotated[
        bool, typer.Option("--backward", help="The backward pass of vision and prefill instead.")
    ] = False,
    device: DeviceNames = None,
    devices_file: DevicesFile = None,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """Costs of one workload, by stage and part: an A4 page at 200 dpi unless told otherwise."""
    if backward and (request.sizes["cached"], request.sizes["new_tokens"]) != (None, 1):
        raise InputError("--backward excludes --cached and --new-tokens; no step has one")
    if backward and device:
        raise InputError("--backward excludes --device; times are those of a request")
    if devices_file is not None and not device:
        raise InputError("--devices needs --device, the name of one of them")
    workload, routing, spread = request.workload(), request.routing, request.parallel
    on = [device_named(name, devices_file) for name in device or ()]

    def answers(asked: Request) -> list[Answer]:
        if not on:
            return []
        rooflines = Rooflines(asked.subject("batch", AllReduce.RING))
        return [answer_of(rooflines, each, workload.batch) for each in on]

    def under(executions: Executions) -> Report:
        changed = replace(request, executions=executions)
        build = changed.build
        asked = (request.model, request.reference, str(executions), workload.as_dict())
        if backward:
            stages = stage_costs(build, workload, backward=True)
            touched = experts_of(build, workload)
            touched.pop(Stage.DECODE)
            return Report(*asked, stages, {"assumed": str(routing), **touched})
        costs = costs_of(build, workload)
        return Report(
            *asked,
            costs.stages,
            {"assumed": str(routing), **costs.experts},
            costs.generation,
            spread,
            collectives_of(build, workload),
            answers(changed),
        )

    result: Report | Comparison
    if execution == given.ALL:
        result = Comparison({name.value: under(Executions(name, name)) for name in Execution})
    else:
        result = under(Executions.parse(execution))
    if show is Format.JSON:
        emit(json.dumps(result.as_dict(), indent=2) + "\n", output)
    elif show is Format.MARKDOWN:
        emit(result.markdown(), output)
    else:
        emit(lambda width: report_tables(result, width), output)


@app.command()
def formulas(
    model: given.Model,
    stage: Annotated[
        str | None, typer.Option(help="vision, prefill or decode; all three unless given.")
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(help="A module path, such as model.language_model.norm; its operators too."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="What to show; may be given several times. Default: matrix_flops."),
    ] = None,
    reference: given.Reference = "vendor",
    execution: given.ExecutionOption = Execution.EAGER.value,
    lm_head: given.LmHead = given.Head.ALL,
    config: given.Config = None,
    no_image: given.NoImage = False,
    show: Annotated[
        FormulaFormat, typer.Option("--format", help="How to show the result.")
    ] = FormulaFormat.TABLE,
    output: given.Output = None,
) -> None:
    """The closed forms, by stage and part or by module path."""
    built = given.model(
        model,
        views=None if no_image else SYMBOLIC,
        reference=reference,
        execution=Executions.parse(execution),
        lm_head=lm_head,
        widths=Widths.SYMBOLIC,
        routing=Routing.SYMBOLIC,
        config=config,
    )
    rows = formula_rows(symbolic_stages(built), stage, path, metric or ["matrix_flops"])
    if show is FormulaFormat.TABLE:
        emit(lambda _: formula_table(rows), output)
    else:
        emit(formulas_as(rows, show), output)


app.command()(sweep)
app.command()(export)
app.command()(sensitivity)
app.command()(diff)
app.command()(solve)
app.command()(roofline)
app.command()(plot)
app.command()(devices)


@app.command()
def generate(
    model: given.Model,
    root: Annotated[
        Path, typer.Option(help="The folder that holds generated/ and docs/.")
    ] = Path(),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where files are stale.")
    ] = False,
) -> None:
    """Write generated/ and docs/HOLISTIC_ANALYSIS.md."""
    with formulas_status():
        files = {root / path: content for path, content in generated_files(model, root).items()}
    if check:
        stale = differences(files)
        if stale:
            typer.echo(stale, nl=False)
            typer.echo(f"stale; run: symcost generate {model}", err=True)
            raise typer.Exit(1)
        typer.echo(f"{len(files)} files are up to date")
        return
    write_all(files)
    for path in files:
        typer.echo(f"wrote {path}")


@app.command()
def verify(
    model: given.Model,
    target: Annotated[
        list[Target] | None,
        typer.Option(
            metavar="NAME",
            help="core (parameters, the whole model), vision, decoder, llama (the attention block) "
            "or prefill-decode (steps, the cache); may be given several times. Default: all.",
        ),
    ] = None,
    of_bytes: Annotated[
        bool,
        typer.Option(
            "--bytes", help="Bytes, distinct experts and live activations instead of FLOPs."
        ),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few workloads, in less than a minute.")
    ] = False,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """Count on the real code and compare with the formulas, module by module.

    By default matrix FLOPs, parameters and the cache; with --bytes what operators read and write.
    """
    _before_long_work(model, output)
    if of_bytes:
        if target:
            raise InputError("--bytes excludes --target; it is of the whole model")
        _verify_bytes(model, quick, show, output)
        return
    verification = room("symcost.verify.verification")
    with progress_bar() as progress:
        result = verification.verify(
            model,
            targets=tuple(target or Target),
            grid=QUICK if quick else FULL,
            progress=progress,
        )
    found = result.as_dict()
    _show(found, show, output, verification_markdown, verification_table)
    _fail_with(result.problems)


def _verify_bytes(model: str, quick: bool, show: Format, output: Path | None) -> None:
    verification = room("symcost.verify.byte_verification")
    with progress_bar() as progress:
        result = verification.verify_bytes(
            model, grid=QUICK_BYTES if quick else FULL_BYTES, progress=progress
        )
    found = result.as_dict()
    _show(
        found,
        show,
        output,
        byte_markdown,
        lambda verified, width: section_tables(
            byte_sections(verified), byte_summary(verified), width=width
        ),
    )
    _fail_with(result.problems)


@app.command()
def prove(
    model: given.Model,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """Trace the real code with symbolic sizes and prove the formulas for all of them."""
    _before_long_work(model, output)
    proving = room("symcost.trace.proving")
    with progress_bar() as progress:
        proof = proving.prove(model, progress=progress)
    found = proof.as_dict()
    _show(found, show, output, proof_markdown, lambda proved, _: proof_table(proved))
    _fail_with(proof.problems)


def _before_long_work(model: str, output: Path | None) -> None:
    """Refuse at once what would fail in the end."""
    require_model(model)
    if output is not None:
        require_writable(output)


def _show(
    found: Mapping[str, Any],
    show: Format,
    output: Path | None,
    markdown: Callable[[Mapping[str, Any]], str],
    table: Callable[[Mapping[str, Any], int], RenderableType],
) -> None:
    """Show what was found as it was asked for."""
    if show is Format.JSON:
        emit(json.dumps(found, indent=1) + "\n", output)
    elif show is Format.MARKDOWN:
        emit(markdown(found), output)
    else:
        emit(lambda width: table(found, width), output)


def _fail_with(problems: Sequence[str]) -> None:
    """Tell what is wrong, a line each, and leave with 1; nothing where nothing is."""
    for problem in problems[:_MOST_PROBLEMS]:
        typer.echo(f"error: {problem}", err=True)
    if len(problems) > _MOST_PROBLEMS:
        typer.echo(f"error: and {len(problems) - _MOST_PROBLEMS} more", err=True)
    if problems:
        raise typer.Exit(1)


_MOST_PROBLEMS = 20
"""How many problems are told; all of them are in JSON."""


def main(arguments: list[str] | None = None) -> None:
    """Run the program; what a user can mend is told in one line."""
    try:
        code: Any = app(args=arguments, standalone_mode=False)
    except (SymcostError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        if message:
            told = " ".join(message.replace("Value error, ", "").split())
            typer.echo(f"error: {told}", err=True)
        sys.exit(2)
    except OSError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
