"""Bars of parts: what each of them costs, and what executions make of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any, TypeAlias

from symcost.exact import Evaluator, Number
from symcost.execution import Execution
from symcost.insight.subject import Subject
from symcost.render.figures import sign_of
from symcost.render.plots.asked import Asked, by_part, drawable
from symcost.render.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    figure_of,
    patch,
)
from symcost.rounded import human
from symcost.symbols import Expr

_WIDTH, _BAR, _MARGIN = 9.5, 0.27, 0.85
"""Inches of a figure, of a bar, and above and below the bars of a panel."""
_ROOM = 1.42
"""How much longer than its longest bar a panel is, for what stands behind bars."""

_KINDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "FLOPs": {"matrix_flops": (BLUE, ""), "vector_flops": (ORANGE, "///")},
    "bytes moved": {"bytes_read": (GREEN, ""), "bytes_written": (PURPLE, "///")},
}
"""What bars of a panel are made of."""
_WORDS = {
    "matrix_flops": "matrix FLOPs",
    "vector_flops": "vector FLOPs",
    "bytes_read": "bytes read",
    "bytes_written": "bytes written",
}
_EXECUTIONS: Mapping[Execution, tuple[str, str]] = {
    Execution.EAGER: (VERMILION, ""),
    Execution.FUSED: (BLUE, "///"),
    Execution.IDEAL: (GREEN, "|||"),
}

_Bars: TypeAlias = Mapping[str, Mapping[Execution, Number]]
"""Amounts by label and execution."""


def stage_title(asked: Asked, stage: str) -> str:
    """A stage, and what runs in it."""
    if stage == "decode":
        steps = asked.workload.new_tokens
        return f"decode of {steps} token{'s' if steps > 1 else ''}"
    return stage if asked.workload.views is None else f"{stage}, vision included"


def breakdown(asked: Asked) -> Any:
    """Work and traffic of each part, stage by stage."""
    subject = asked.subject("", None)
    found = {
        (stage, metric): _numbers(subject, by_part(subject, stage, metric))
        for stage in ("prefill", "decode")
        for metrics in _KINDS.values()
        for metric in metrics
    }
    rows = {
        stage: [
            part
            for part in found[stage, "bytes_read"]
            if any(found[stage, metric][part] for kind in _KINDS.values() for metric in kind)
        ]
        for stage in ("prefill", "decode")
    }
    heights = [_MARGIN + len(parts) * _BAR for parts in rows.values()]
    figure = figure_of(
        "Where the work and the traffic are", asked.title, _WIDTH, sum(heights) + 0.3
    )
    grid = figure.add_gridspec(len(rows), len(_KINDS), height_ratios=heights)
    for place, (stage, kind) in zip(grid, product(rows, _KINDS), strict=True):
        panel = figure.add_subplot(place)
        parts, metrics = rows[stage], _KINDS[kind]
        left: list[Number] = [0] * len(parts)
        for metric, (colour, hatch) in metrics.items():
            widths = [found[stage, metric][part] for part in parts]
            panel.barh(
                range(len(parts)),
                [drawable(width) for width in widths],
                0.72,
                left=[drawable(start) for start in left],
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0,
            )
            left = [start + width for start, width in zip(left, widths, strict=True)]
        whole, unit = sum(left), sign_of(next(iter(metrics)))
        for at, total in enumerate(left):
            panel.annotate(
                f"{human(total, unit)}, {_percent(total, whole)}",
                (drawable(total), at),
                (3, 0),
                textcoords="offset points",
                va="center",
                size=8,
            )
        _plain(panel, parts)
        panel.tick_params(labelleft=place.is_first_col())
        _bounded(panel, left)
        panel.set_title(f"{stage_title(asked, stage)}: {human(whole, unit)}{_moved(unit)}")
    entries = {_WORDS[m]: look for kind in _KINDS.values() for m, look in kind.items()}
    _legend(figure, entries)
    return figure


def _moved(unit: str) -> str:
    return " moved" if unit == "B" else ""


def executions(asked: Asked) -> Any:
    """Traffic of each part, and live activations of the stages, under each execution."""
    subjects = {each: asked.subject("", each) for each in _EXECUTIONS}

    def found(names: Mapping[str, str], metric: str) -> _Bars:
        """What is drawn of a metric, by its label and execution; nothing of what costs nothing."""
        amounts = {
            each: _numbers(
                subject, {label: subject.figure(f"{at}.{metric}")[0] for label, at in names.items()}
            )
            for each, subject in subjects.items()
        }
        return {
            label: {each: amounts[each][label] for each in amounts}
            for label in names
            if any(amounts[each][label] for each in amounts)
        }

    eager = subjects[Execution.EAGER]
    prefill = found(_paths(eager, "prefill"), "bytes_moved")
    decode = found(_paths(eager, "decode"), "bytes_moved")
    held = found({"prefill": "prefill", "decode": "decode"}, "activation_bytes")
    heights = [_MARGIN + len(bars) * len(_EXECUTIONS) * _BAR for bars in (decode, held)]
    figure = figure_of(
        "What kernels move and hold: eager, fused and ideal",
        asked.title.replace(f", {Execution.FUSED}, ", ", "),
        _WIDTH,
        sum(heights) + 0.3,
    )
    columns = figure.add_gridspec(1, 2)
    right = columns[1].subgridspec(2, 1, height_ratios=heights)
    _side_by_side(
        figure.add_subplot(columns[0]), prefill, f"{stage_title(asked, 'prefill')}: bytes moved"
    )
    _side_by_side(
        figure.add_subplot(right[0]), decode, f"{stage_title(asked, 'decode')}: bytes moved"
    )
    _side_by_side(figure.add_subplot(right[1]), held, "most bytes of live activations")
    _legend(figure, {each.value: look for each, look in _EXECUTIONS.items()})
    return figure


def _side_by_side(panel: Any, bars: _Bars, title: str) -> None:
    """A bar for each execution, label by label."""
    for number, (each, (colour, hatch)) in enumerate(_EXECUTIONS.items()):
        here = [amounts[each] for amounts in bars.values()]
        drawn = panel.barh(
            [at + (number - 1) * 0.27 for at in range(len(bars))],
            [drawable(amount) for amount in here],
            0.25,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
        )
        panel.bar_label(drawn, [human(amount, "B") for amount in here], padding=3, size=8)
    _plain(panel, list(bars))
    _bounded(panel, [amount for amounts in bars.values() for amount in amounts.values()])
    panel.set_title(title)


def _paths(subject: Subject, stage: str) -> dict[str, str]:
    """The parts of a stage by their last names, those of vision one by one."""
    found: dict[str, str] = {}
    for part, cost in subject.costs[stage].parts.items():
        inner = {name: f"{stage}.{part}.{name}" for name in cost.parts}
        found |= inner or {part: f"{stage}.{part}"}
    return found


def _numbers(subject: Subject, formulas: Mapping[str, Expr]) -> dict[str, Number]:
    evaluator = Evaluator(subject.bindings)
    return {part: evaluator(formula) for part, formula in formulas.items()}


def _percent(amount: Number, whole: Number) -> str:
    share = 100 * Fraction(amount) / whole if whole else Fraction()
    return "< 0.1 %" if 0 < share < Fraction(1, 10) else f"{float(share):.1f} %"


def _plain(panel: Any, labels: Sequence[str]) -> None:
    """Labels from top to bottom, and nothing along x, as bars tell their lengths."""
    panel.set_yticks(range(len(labels)), labels)
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False)
    panel.xaxis.set_visible(False)
    panel.spines["bottom"].set_visible(False)


def _bounded(panel: Any, amounts: Sequence[Number]) -> None:
    panel.set_xlim(0, _ROOM * max(map(drawable, amounts), default=0) or 1)


def _legend(figure: Any, looks: Mapping[str, tuple[str, str]]) -> None:
    handles = [patch(colour, hatch) for colour, hatch in looks.values()]
    figure.legend(handles, list(looks), loc="outside lower left", ncols=len(looks))
