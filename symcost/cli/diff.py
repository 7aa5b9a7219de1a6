"""The command `symcost diff`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from symcost.cli import options as given
from symcost.cli.options import Format
from symcost.cli.output import emit, section_tables
from symcost.cost import Cost
from symcost.errors import InputError
from symcost.exact import Number
from symcost.execution import Execution
from symcost.insight.changes import (
    FIGURES,
    WORK,
    effects,
    operator_changes,
    part_changes,
    side_of,
)
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import SYMBOLIC, Views
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, costs_of, experts_of, symbolic_stages
from symcost.render.changes import Difference, StoredFormulas
from symcost.render.document.display import math
from symcost.render.sections import sections_markdown
from symcost.symbols import U

_COUNTS = (
    "batch",
    "prompt_tokens",
    "context_len",
    "cached",
    "new_tokens",
    "base_size",
    "tile_size",
)
_SIZES = (*_COUNTS, "mode", "image", "crop_grid")
_MODEL = {
    "reference": "vendor",
    "execution": Execution.EAGER.value,
    "lm_head": given.Head.ALL.value,
    "width": "weights=2,activations=2,kv=2",
    "experts": Assumption.EXPECTED.value,
    "config": "the published one",
}
"""What can be changed of the model, and what it is unless it is given."""


@dataclass(frozen=True)
class _Options:
    """What a side is asked for, by the names of options; None where one is not given."""

    model: str
    values: Mapping[str, Any]
    no_image: bool

    def changed(self, texts: list[str]) -> _Options:
        """The same with other values."""
        values = dict(self.values)
        seen: set[str] = set()
        for text in texts:
            name, _, value = text.partition("=")
            if name not in self.values or not value:
                raise InputError(
                    f"change is {text!r}; allowed: NAME=VALUE for {', '.join(self.values)}"
                )
            if name in seen:
                raise InputError(f"change {name} is given twice; give it once")
            seen.add(name)
            values[name] = _read(name, value)
        return _Options(self.model, values, self.no_image)

    @property
    def workload(self) -> Workload:
        """The workload."""
        sizes = {name: self.values[name] for name in _SIZES}
        return Workload.from_options(no_image=self.no_image, **sizes)

    def of_model(self, name: str) -> Any:
        """A value of the model's, or what it is unless given."""
        value = self.values[name]
        return _MODEL[name] if value is None else value

    def build(
        self, views: Views | None, widths: Widths | None = None, routing: Routing | None = None
    ) -> DeepseekOCRModel:
        """The model that sees the given views, with widths and routing of its own or others."""
        return given.model(
            self.model,
            views=views,
            reference=self.of_model("reference"),
            execution=Executions.parse(self.of_model("execution")),
            lm_head=_head(self.of_model("lm_head")),
            widths=Widths.parse(self.of_model("width")) if widths is None else widths,
            routing=Routing.parse(self.of_model("experts")) if routing is None else routing,
            config=self.values["config"],
        )

    def stages(self, widths: Widths | None, routing: Routing | None) -> Mapping[str, Cost]:
        """The closed forms of all stages."""
        return symbolic_stages(self.build(None if self.no_image else SYMBOLIC, widths, routing))

    def figures(self) -> dict[str, dict[str, Number]]:
        """The figures of the workload, by stage."""
        costs = costs_of(self.build, self.workload)
        return {
            stage: _figures(cost)
            for stage, cost in {**costs.stages, "generation": costs.generation}.items()
        }


def _read(name: str, value: str) -> Any:
    if name == "config":
        return Path(value)
    if name not in _COUNTS:
        return value
    try:
        return int(value)
    except ValueError:
        raise InputError(f"change {name} is {value!r}; allowed: an integer") from None


def _head(name: str) -> given.Head:
    if name not in list(given.Head):
        raise InputError(f"lm_head is {name!r}; allowed: {', '.join(given.Head)}")
    return given.Head(name)


def _figures(cost: Cost) -> dict[str, Any]:
    return {metric: cost.figure(metric) for metric in FIGURES}


def diff(
    model: given.Model,
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
            "--from", help="A formulas_*.json that generate wrote, to compare with, instead."
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
    reference: given.ReferenceOrNone = None,
    execution: given.ExecutionOrNone = None,
    lm_head: given.LmHeadOrNone = None,
    width: given.WidthOrNone = None,
    experts: given.ExpertsOrNone = None,
    config: given.Config = None,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """What a change does: which operators and formulas differ, and what a workload then costs."""
    values: dict[str, Any] = {
        "reference": reference,
        "execution": execution,
        "lm_head": None if lm_head is None else lm_head.value,
        "width": width,
        "experts": experts,
        "config": config,
        "batch": batch,
        "prompt_tokens": prompt_tokens,
        "context_len": context_len,
        "cached": cached,
        "new_tokens": new_tokens,
        "mode": mode,
        "image": image,
        "base_size": base_size,
        "tile_size": tile_size,
        "crop_grid": crop_grid,
    }
    if (change is None) == (since is None):
        raise InputError(
            "give what to compare with: --change NAME=VALUE, such as --change execution=fused, or "
            "--from FILE"
        )
    asked = _Options(model, values, no_image)
    found = _of_file(asked, since) if since is not None else _of_change(asked, change or [])
    if show is Format.JSON:
        emit(json.dumps(found.as_dict(), indent=1) + "\n", output)
    elif show is Format.MARKDOWN:
        emit(sections_markdown(found.sections(math), found.notes()), output)
    else:
        emit(lambda _: section_tables(found.sections(), found.notes()), output)


def _of_change(before: _Options, change: list[str]) -> Difference:
    after = before.changed(change)
    names = [name for name in before.values if _told(before, name) != _told(after, name)]
    workloads = before.workload.as_dict(), after.workload.as_dict()
    found = effects(before.figures(), after.figures())
    # What both sides have is told with symbols.
    widths = None if "width" in names else Widths.SYMBOLIC
    routing = None if "experts" in names else Routing.SYMBOLIC
    old, new = (side_of(options.stages(widths, routing)) for options in (before, after))
    return Difference(
        before.model,
        {name: (_told(before, name), _told(after, name)) for name in names},
        part_changes(old.parts, new.parts),
        operator_changes(old.operators, new.operators),
        found,
        workloads,
    )


def _told(options: _Options, name: str) -> str:
    if name in _MODEL:
        return str(options.of_model(name))
    value = options.values[name]
    return "default" if value is None else str(value)


def _of_file(asked: _Options, path: Path) -> Difference:
    widths = Widths.parse(asked.of_model("width"))
    if asked.no_image or asked.values["new_tokens"] is not None:
        raise InputError("--from excludes --no-image and --new-tokens; a file has all three stages")
    if widths.parts:
        raise InputError("--from excludes widths of parts; the formulas of a file have none")
    stored = StoredFormulas.read(path)
    if stored.model != asked.model:
        raise InputError(f"{path} is of {stored.model!r}, not of {asked.model!r}")
    if asked.values["reference"] is None:
        asked = asked.changed([f"reference={stored.reference}"])
    workload = asked.workload
    execution = asked.of_model("execution")
    stored.stages(execution)
    present = asked.stages(Widths.SYMBOLIC, Routing.SYMBOLIC)
    point = workload.bindings | widths.bindings
    points = {"vision": point} | {
        stage: point | {U: count} for stage, count in experts_of(asked.build, workload).items()
    }
    new = side_of(present)
    old = stored.side(execution, new)
    return Difference(
        asked.model,
        {"formulas": (str(path), "those of this version")},
        part_changes(old.parts, new.parts),
        operator_changes(old.operators, new.operators, WORK),
        effects(
            stored.figures(execution, points),
            {stage: _figures(cost.evaluate(points[stage])) for stage, cost in present.items()},
        ),
        (workload.as_dict(), workload.as_dict()),
    )
