"""What only formulas answer: times on devices, limits and crossings, and what devices exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from symcost.errors import DomainError
from symcost.exact import Amount, Evaluator
from symcost.execution import Execution
from symcost.formulas import latex
from symcost.insight.closed_forms import ClosedForm
from symcost.insight.conditions import solve_conditions
from symcost.insight.devices import Device, device_named
from symcost.insight.grids import GridSolution
from symcost.insight.latency import Latency, Rooflines
from symcost.insight.roofline import Efficiency, Granularity, rates
from symcost.insight.solving import Boundary
from symcost.insight.subject import CROPS, Subject
from symcost.models import load
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE, Parallel
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import symbolic_collectives
from symcost.render.document.display import math
from symcost.render.latency import DAY
from symcost.symbols import B

DEVICES = ("A100-40GB", "H100-SXM", "RTX-4090")
"""Devices that the document speaks of."""

SPREAD_ON = "H100-SXM"
"""The device of which several are shown, and which is shown under other conventions."""

PUBLISHED_ON = "A100-40GB"
PUBLISHED_PAGES, PUBLISHED_TOKENS = 200_000, 2500
"""Pages a day, and generated tokens a second, that the model's authors state of one device.

Source: DeepSeek-OCR (arXiv:2510.18234), abstract, and the README of deepseek-ai/DeepSeek-OCR.
"""


@dataclass(frozen=True)
class DeviceRow:
    """What a device makes of the page: at best alone, and with all that its memory holds."""

    device: Device
    batch: int
    found: Latency

    @property
    def per_day(self) -> int:
        """Pages a day where one batch follows the other."""
        return int(self.found.requests_per_second * DAY)

    @property
    def most_per_day(self) -> int:
        """Pages a day that nothing exceeds."""
        return int(self.found.most_requests_per_second * DAY)


def _batches(rooflines: Rooflines, device: Device) -> list[int]:
    last = rooflines.largest_batch(device).ranges[-1][1]
    return [1] if last in (None, 1) else [1, last]


def device_rows(model: str) -> list[DeviceRow]:
    """What the document's devices make of the page."""
    rooflines = Rooflines(Subject.of(model, "batch"))
    return [
        DeviceRow(device, batch, rooflines.at(device, batch))
        for device in map(device_named, DEVICES)
        for batch in _batches(rooflines, device)
    ]


@dataclass(frozen=True)
class ConventionRow:
    """The page on a device under an execution, with kernels one after the other or side by side."""

    execution: str
    granularity: str
    efficiency: str
    found: Latency


def convention_rows(model: str) -> list[ConventionRow]:
    """The same page under other conventions, on one of the document's devices."""
    device = device_named(SPREAD_ON)
    rows = []
    for execution in (Execution.IDEAL, Execution.FUSED):
        for granularity in Granularity:
            lines = Rooflines(Subject.of(model, "batch", execution=execution), granularity)
            rows.append(ConventionRow(execution.value, granularity.value, "1", lines.at(device, 1)))
    share = "matrix=0.7,memory=0.8"
    lines = Rooflines(Subject.of(model, "batch", execution=Execution.FUSED), Granularity.KERNEL)
    stated = lines.at(device, 1, efficiency=Efficiency.parse(share))
    return [*rows, ConventionRow(Execution.FUSED.value, Granularity.KERNEL.value, share, stated)]


def attention_share(model: str, part: str = "", **sizes: Any) -> float:
    """The percentage of a prefill, or of a part of it, that attention of the decoder is."""
    subject = Subject.of(model, "batch", **sizes)
    point = Evaluator({**subject.bindings, B: 1})
    attention, whole = (
        point(subject.figure(f"prefill.{name}flops")[0]) for name in ("decoder.attention.", part)
    )
    return float(100 * Fraction(attention) / whole)


@dataclass(frozen=True)
class Published:
    """The published throughput beside the bound."""

    device: str
    pages: int
    tokens: int
    answer: int
    batch: int
    bound: int
    most: int


def published(model: str) -> Published:
    """The bound of the device for which a throughput is published, with as long an answer."""
    answer = round(PUBLISHED_TOKENS * DAY / PUBLISHED_PAGES)
    rooflines = Rooflines(Subject.of(model, "batch", new_tokens=answer - 1))
    device = device_named(PUBLISHED_ON)
    batch = _batches(rooflines, device)[-1]
    row = DeviceRow(device, batch, rooflines.at(device, batch))
    return Published(
        device.name,
        PUBLISHED_PAGES,
        PUBLISHED_TOKENS,
        answer,
        batch,
        row.per_day,
        row.most_per_day,
    )


@dataclass(frozen=True)
class Limit:
    """A question, its answer and the formula of it."""

    question: str
    condition: str
    answer: str
    formula: str


@dataclass(frozen=True)
class _Question:
    text: str
    opened: str
    condition: str
    device: str | None = None
    widths: Widths | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def limits(model: str) -> list[Limit]:
    """What `symcost solve` answers about the page."""
    return [_limit(model, question) for question in _questions()]


def _questions() -> list[_Question]:
    page = "generation.resident_bytes <= {}GB"
    a100, h100, _ = (device_named(name) for name in DEVICES)
    return [
        *(
            _Question(
                f"the largest batch that {name} holds",
                "batch",
                page.format(int(device_named(name).memory / 10**9)),
            )
            for name in DEVICES
        ),
        _Question(
            f"the same on {a100.name} with a cache of 8 bits",
            "batch",
            page.format(int(a100.memory / 10**9)),
            widths=Widths(kv=1),
        ),
        _Question(
            f"the largest batch whose first tokens come within a second on {a100.name}",
            "batch",
            "ttft <= 1s",
            a100.name,
        ),
        _Question(
            f"the batch from which a step on the page is bound by computing on {h100.name}",
            "batch",
            "decode.compute_time >= decode.memory_time",
            h100.name,
        ),
        _Question(
            f"the same for a first step on an empty cache on {h100.name}",
            "batch",
            "decode.compute_time >= decode.memory_time",
            h100.name,
            options={"cached": 0, "new_tokens": 1},
        ),
        _Question(
            f"the answer from which its steps take longer than the prefill on {h100.name}",
            "new_tokens",
            "decode.time >= prefill.time",
            h100.name,
        ),
        _Question(
            "the context from which attention does more than the rest of the decoder",
            "context_len",
            "prefill.decoder.attention.flops >= prefill.decoder.rest.flops",
        ),
        _Question(
            "the context from which the decoder does more than the vision of this page",
            "context_len",
            "prefill.decoder.flops >= prefill.vision.flops",
        ),
        _Question(
            "the cache from which attention moves more than the rest of a step",
            "cached",
            "decode.attention.bytes_moved >= decode.rest.bytes_moved",
        ),
        _Question(
            "the side of one global view from which attention does more than the rest of SAM",
            "base_size",
            "vision.sam.attention.flops >= vision.sam.rest.flops",
            options={"mode": "base"},
        ),
        _Question(
            "the crops for which vision costs no more than in mode large",
            CROPS,
            "vision.flops <= large:vision.flops",
        ),
    ]


def _limit(model: str, question: _Question) -> Limit:
    assumed = {"widths": question.widths}
    subject = Subject.of(model, question.opened, assumed=assumed, **question.options)
    rate = None if question.device is None else rates(device_named(question.device))
    try:
        solution = solve_conditions(subject, [question.condition], rate)
    except DomainError:
        return Limit(question.text, question.condition, "none", "proved for every value")
    if isinstance(solution, GridSolution):
        answer = ", ".join(str(grid.crops) for grid in solution.grids if grid.holds)
    else:
        answer = ", ".join(_range(*ends) for ends in solution.ranges)
    return Limit(question.text, question.condition, answer, _formula(solution.boundaries[0]))


def _range(first: int, last: int | None) -> str:
    return f"{first:,} and more" if last is None else f"{first:,} to {last:,}"


def _formula(boundary: Boundary) -> str:
    """The root of a boundary in Markdown."""
    closed = boundary.closed
    if not isinstance(closed, ClosedForm):
        return f"none: {closed}"
    coefficients = closed.whole_coefficients()
    root = closed.root(7)
    if len(coefficients) == 2:
        constant, slope = coefficients
        return rf"$\frac{{{latex(-constant)}}}{{{latex(slope)}}} \approx {root}$"
    square, linear, constant = (math(formula) for formula in reversed(coefficients))
    return f"$a x^2 + b x + c = 0$ with $a =$ {square}, $b =$ {linear}, $c =$ {constant}: ${root}$"


@dataclass(frozen=True)
class Exchange:
    """A collective as formulas: the bytes that a run of it works on, and how often it runs."""

    path: str
    kind: str
    count: int
    payload: str
    group: str


def exchanges(model: str) -> list[Exchange]:
    """What a device exchanges in a prefill, for any degrees; a step does the same with S = 1."""
    spread = load(model, lm_head="last", widths=Widths.SYMBOLIC, parallel=Parallel.SYMBOLIC)
    return [
        Exchange(
            collective.path,
            collective.kind.value,
            int(collective.count),
            math(collective.bytes),
            math(collective.group),
        )
        for collective in symbolic_collectives(spread)["prefill"]
    ]


@dataclass(frozen=True)
class SpreadRow:
    """The page on several devices."""

    parallel: Parallel
    devices: Amount
    batch: int
    found: Latency


def spread_rows(model: str) -> list[SpreadRow]:
    """A batch of the page on several devices."""
    device, batch = device_named(SPREAD_ON), 64
    degrees = (
        ONE_DEVICE,
        Parallel(tensor=2),
        Parallel(data=2),
        Parallel(data=8),
        Parallel(expert=8, data=8),
        Parallel(tensor=2, expert=4, data=4),
    )
    return [
        SpreadRow(
            parallel,
            parallel.devices,
            batch,
            Rooflines(Subject.of(model, "batch", assumed={"parallel": parallel}, batch=batch)).at(
                device, batch
            ),
        )
        for parallel in degrees
    ]
