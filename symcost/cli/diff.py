"""The command `symcost diff`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from symcost.cli import options as given
from symcost.cli.options import Format
from symcost.cli.output import emit, formulas_status, section_tables
from symcost.cli.request import Request, with_request
from symcost.cost import Cost
from symcost.errors import InputError
from symcost.exact import Number
from symcost.insight.changes import (
    FIGURES,
    WORK,
    effects,
    operator_changes,
    part_changes,
    side_of,
)
from symcost.models.deepseek_ocr.config import from_file
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.parallel import Parallel
from symcost.models.deepseek_ocr.reference import reference_named
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import costs_of, experts_of, symbolic_stages
from symcost.render.changes import Difference, StoredFormulas
from symcost.render.document.display import math
from symcost.render.sections import sections_markdown
from symcost.symbols import U


def _head(name: str) -> given.Head:
    if name not in list(given.Head):
        raise InputError(f"lm_head is {name!r}; allowed: {', '.join(given.Head)}")
    return given.Head(name)


_MODEL: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "reference": ("reference", lambda text: reference_named(text).name),
    "execution": ("executions", Executions.parse),
    "lm_head": ("lm_head", _head),
    "width": ("widths", Widths.parse),
    "experts": ("routing", Routing.parse),
    "parallel": ("parallel", Parallel.parse),
    "config": ("config", lambda text: from_file(Path(text))),
}
"""What can be changed of the model: the field of a request, and how it is read."""
_TEXTS = ("mode", "image", "crop_grid")
_COUNTS = (
    "batch",
    "prompt_tokens",
    "context_len",
    "cached",
    "new_tokens",
    "base_size",
    "tile_size",
)
_NAMES = (*_MODEL, *_COUNTS, *_TEXTS)


def _changed(before: Request, changes: list[str]) -> tuple[Request, dict[str, tuple[str, str]]]:
    """A request with changes, and what each of them was and is."""
    after = before
    told: dict[str, tuple[str, str]] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in _NAMES or not text:
            raise InputError(f"change is {change!r}; allowed: NAME=VALUE for {', '.join(_NAMES)}")
        if name in told:
            raise InputError(f"change {name} is given twice; give it once")
        if name in _MODEL:
            field, read = _MODEL[name]
            told[name] = _told(name, getattr(before, field)), text
            after = replace(after, **{field: read(text)})
        else:
            told[name] = _told(name, before.sizes[name]), text
            value = _count(name, text) if name in _COUNTS else text
            after = replace(after, sizes=after.sizes | {name: value})
    return after, told


def _count(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"change {name} is {text!r}; allowed: an integer") from None


def _told(name: str, value: Any) -> str:
    if name == "config":
        return "the published one" if value is None else "the one given"
    return "default" if value is None else str(value)


def _stages(
    request: Request, widths: Widths = Widths.SYMBOLIC, routing: Routing = Routing.SYMBOLIC
) -> Mapping[str, Cost]:
    """The closed forms of all stages, by default with symbols for widths and experts."""
    build = replace(request, widths=widths, routing=routing).build
    return symbolic_stages(build(None if request.workload().views is None else SYMBOLIC))


def _figures(cost: Cost) -> dict[str, Any]:
    return {metric: cost.figure(metric) for metric in FIGURES}


@with_request()
def diff(
    request: Request,
    change: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="What is different: reference=transformers, execution=fused, lm_head=last, "
            "width=kv=1, experts=most, config=FILE, batch=8, mode=base, …. May be given several "
            "times.",
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A formulas_*.json that generate wrote, to compare with, instead; of its "
            "reference, unless --reference is given.",
        ),
    ] = None,
    reference: given.ReferenceOrNone = None,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """What a change does: which operators and formulas differ, and what a workload then costs."""
    if change and since:
        raise InputError("--from excludes --change; a file is compared with the present formulas")
    if not change and since is None:
        raise InputError(
            "give what to compare with: --change NAME=VALUE, such as --change execution=fused, or "
            "--from FILE"
        )
    if reference is not None:
        request = replace(request, reference=reference)
    with formulas_status():
        if since is None:
            found = _of_change(request, change or [])
        else:
            found = _of_file(request, since, own_reference=reference is None)
    title = request.title()
    if show is Format.JSON:
        emit(json.dumps(found.as_dict(), indent=1) + "\n", output)
    elif show is Format.MARKDOWN:
        emit(sections_markdown(found.sections(math), found.notes(), title), output)
    else:
        emit(
            lambda width: section_tables(found.sections(), found.notes(), title, width=width),
            output,
        )


def _of_change(before: Request, change: list[str]) -> Difference:
    after, told = _changed(before, change)
    found = effects(_workload_figures(before), _workload_figures(after))
    # What both sides have is told with symbols.
    old, new = (
        side_of(
            _stages(
                request,
                request.widths if "width" in told else Widths.SYMBOLIC,
                request.routing if "experts" in told else Routing.SYMBOLIC,
            )
        )
        for request in (before, after)
    )
    return Difference(
        before.model,
        told,
        part_changes(old.parts, new.parts),
        operator_changes(old.operators, new.operators),
        found,
        (before.workload().as_dict(), after.workload().as_dict()),
    )


def _workload_figures(request: Request) -> dict[str, dict[str, Number]]:
    """The figures of the workload, by stage."""
    costs = costs_of(request.build, request.workload())
    stages = {**costs.stages, "generation": costs.generation}
    return {stage: _figures(cost) for stage, cost in stages.items()}


def _of_file(request: Request, path: Path, *, own_reference: bool) -> Difference:
    widths, workload = request.widths, request.workload()
    if workload.views is None or workload.new_tokens != 1:
        raise InputError("--from excludes --no-image and --new-tokens; a file has all three stages")
    if widths.parts:
        raise InputError("--from excludes widths of parts; the formulas of a file have none")
    stored = StoredFormulas.read(path)
    if stored.model != request.model:
        raise InputError(f"{path} is of {stored.model!r}, not of {request.model!r}")
    if own_reference:
        request = replace(request, reference=stored.reference)
    execution = str(request.executions)
    stored.stages(execution)
    present = _stages(request)
    point = workload.bindings | widths.bindings
    points = {"vision": point} | {
        stage: point | {U: count} for stage, count in experts_of(request.build, workload).items()
    }
    new = side_of(present)
    old = stored.side(execution, new)
    return Difference(
        request.model,
        {"formulas": (str(path), "those of this version")},
        part_changes(old.parts, new.parts),
        operator_changes(old.operators, new.operators, WORK),
        effects(
            stored.figures(execution, points),
            {stage: _figures(cost.evaluate(points[stage])) for stage, cost in present.items()},
        ),
        (workload.as_dict(), workload.as_dict()),
    )
