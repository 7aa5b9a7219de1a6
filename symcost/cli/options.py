"""Options that several commands share, each stated once."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from symcost.execution import Execution
from symcost.models import MODELS, load
from symcost.models.deepseek_ocr.config import from_file
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import MODES, Views
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE
from symcost.models.deepseek_ocr.parallel import Parallel as Spread
from symcost.models.deepseek_ocr.reference import REFERENCES
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.widths import Widths


class Format(StrEnum):
    """How results are shown."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class Head(StrEnum):
    """Which tokens of a prefill the head runs on."""

    ALL = "all"
    LAST = "last"


def _one_of(*names: str) -> str:
    return f"One of {', '.join(names)}."


_workload = partial(typer.Option, rich_help_panel="Workload")
_assumed = partial(typer.Option, rich_help_panel="Model and what is assumed of it")

Model = Annotated[str, typer.Argument(help=_one_of(*MODELS), metavar="MODEL")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to show the result.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")]
_REFERENCE = _assumed(help=f"The implementation that is reproduced: {_one_of(*REFERENCES)}")
Reference = Annotated[str, _REFERENCE]
ReferenceOrNone = Annotated[str | None, _REFERENCE]
_EXECUTION = _assumed(
    "--execution",
    metavar="NAME|PART=NAME,…",
    help=f"How operators are grouped into kernels: {_one_of(*Execution)} By part: "
    "vision=eager,decoder=fused.",
)
ExecutionOption = Annotated[str, _EXECUTION]
ExecutionOrNone = Annotated[str | None, _EXECUTION]
ALL = "all"
"""Stands for every execution."""

ExecutionOrAll = Annotated[
    str,
    _assumed(
        "--execution",
        metavar="NAME|PART=NAME,…|all",
        help=f"How operators are grouped into kernels: {_one_of(*Execution)} By part: "
        "vision=eager,decoder=fused. All three side by side: all.",
    ),
]
_LM_HEAD = _assumed(help="Run the head on all prefill tokens or the last.")
LmHead = Annotated[Head, _LM_HEAD]
LmHeadOrNone = Annotated[Head | None, _LM_HEAD]
_WIDTH = _assumed(
    metavar="NAME=BYTES,…",
    help="Bytes per element: weights, activations, kv; by part vision.weights, "
    "vision.activations, experts.weights, lm_head.weights; such as "
    "kv=1,experts.weights=1/2+2/128.",
)
Width = Annotated[str, _WIDTH]
WidthOrNone = Annotated[str | None, _WIDTH]
_EXPERTS = _assumed(
    metavar="NAME|FRACTION|STAGE=…",
    help=f"Distinct experts that tokens touch: {_one_of(*Assumption)} Or the measured fraction "
    "of them; by stage: prefill=1,decode=0.55.",
)
Experts = Annotated[str, _EXPERTS]
ExpertsOrNone = Annotated[str | None, _EXPERTS]
Parallel = Annotated[
    str,
    _assumed(
        metavar="NAME=DEVICES,…",
        help="Devices that share the work: tensor (layers), data (the batch), expert (replicas "
        "that share the experts), such as tensor=2,expert=4,data=4. Figures are those of one.",
    ),
]
Config = Annotated[
    Path | None,
    _assumed(help="A Hugging Face config.json of the family instead of the published one."),
]


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"it is {text!r}; allowed: an integer") from None


Mode = Annotated[str | None, _workload(help=f"How to look at a page: {_one_of(*MODES)}")]
Image = Annotated[
    str | None,
    _workload(metavar="WxH|FILE", help="The page: its size in pixels, or an image file."),
]
BaseSize = Annotated[
    int | None,
    _workload(parser=_whole, metavar="PIXELS", help="Side of the global view in pixels."),
]
TileSize = Annotated[
    int | None, _workload(parser=_whole, metavar="PIXELS", help="Side of a tile in pixels.")
]
CropGrid = Annotated[
    str | None, _workload(metavar="WxH", help="Columns and rows of tiles; 1x1 for none.")
]
NoImage = Annotated[bool, _workload("--no-image", help="Text alone.")]
Batch = Annotated[
    int | None,
    _workload(parser=_whole, metavar="N", help="Sequences, one page each. Default: 1."),
]
PromptTokens = Annotated[
    int | None,
    _workload(
        parser=_whole, metavar="N", help="Text tokens of the prompt; S follows. Default: 20."
    ),
]
ContextLen = Annotated[
    int | None,
    _workload(parser=_whole, metavar="N", help="Tokens of the whole prefill: S itself."),
]
Cached = Annotated[
    int | None,
    _workload(parser=_whole, metavar="N", help="Cached tokens before decoding. Default: S."),
]
NewTokens = Annotated[
    int | None,
    _workload(parser=_whole, metavar="N", help="Tokens to decode, summed."),
]


def model(
    name: str,
    *,
    views: Views | None,
    reference: str,
    execution: Executions,
    lm_head: Head,
    widths: Widths,
    routing: Routing,
    config: Path | None,
    parallel: Spread = ONE_DEVICE,
) -> DeepseekOCRModel:
    """The model that the options describe."""
    return load(
        name,
        config=None if config is None else from_file(config),
        views=views,
        reference=reference,
        execution=execution,
        lm_head=lm_head.value,
        widths=widths,
        routing=routing,
        parallel=parallel,
    )
