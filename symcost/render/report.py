"""The report of one workload: as an object, as rows, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from symcost.cost import COLUMNS, Cost, StageCost, cost_rows
from symcost.exact import Amount, as_rational, decimal_text, simplest
from symcost.figures import exact
from symcost.insight.collectives import AllReduce, all_sent_bytes, sent_bytes, steps
from symcost.models.deepseek_ocr.collectives import Collective
from symcost.models.deepseek_ocr.geometry import page_text
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE, Parallel
from symcost.render.figures import cost_object
from symcost.render.latency import Answer, latency_note, latency_object
from symcost.rounded import human

TableRow = tuple[str, int, tuple[str, ...]]
"""A name, its depth and the cells of all columns."""


@dataclass(frozen=True)
class Report:
    """Costs of all stages on one workload, and how they were asked for.

    Parameters
    ----------
    experts : mapping of str to str, int or Fraction
        What is assumed of the routing, and the experts that a layer then reads, by stage.
    generation : StageCost, optional
        A prefill and the decode steps behind it; none of a backward pass.
    parallel : Parallel
        The devices; costs are those of one.
    collectives : mapping of str to tuple of Collective
        What a device exchanges with others, by stage.
    answers : sequence of Answer
        What devices make of the workload.
    """

    model: str
    reference: str
    execution: str
    workload: Mapping[str, Any]
    stages: Mapping[str, StageCost]
    experts: Mapping[str, Any]
    generation: StageCost | None = None
    parallel: Parallel = ONE_DEVICE
    collectives: Mapping[str, tuple[Collective, ...]] = field(default_factory=dict)
    answers: Sequence[Answer] = ()

    columns = tuple(COLUMNS)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON shows it."""
        found: dict[str, Any] = {
            "model": self.model,
            "reference": self.reference,
            "execution": self.execution,
            "workload": dict(self.workload),
            "experts": {name: _plain(amount) for name, amount in self.experts.items()},
            "stages": {name: cost_object(cost) for name, cost in self.stages.items()},
        }
        if self.generation is not None:
            found["generation"] = {
                **cost_object(self.generation, with_parts=False),
                "kv_bytes_per_token": exact(self._growth),
                "per_request": {name: exact(amount) for name, amount in self._request.items()},
                "per_page": {name: exact(amount) for name, amount in self._page.items()} or None,
            }
        if self.is_spread:
            found["parallel"] = {
                "devices": int(self.parallel.devices),
                "tensor": int(self.parallel.tensor),
                "expert": int(self.parallel.expert),
                "data": int(self.parallel.data),
            }
            found["collectives"] = {
                stage: {
                    "sent_bytes": {
                        how.value: exact(all_sent_bytes(all_, how)) for how in AllReduce
                    },
                    "exchanges": [_exchange(each) for each in all_],
                }
                for stage, all_ in self.collectives.items()
            }
        if self.answers:
            found["roofline"] = [latency_object(answer) for answer in self.answers]
        return found

    @property
    def is_spread(self) -> bool:
        """Whether there are several devices."""
        return self.parallel != ONE_DEVICE

    @property
    def title(self) -> str:
        """What was asked, in a line or two."""
        w = self.workload
        told = asked(f"{self.model} ({self.reference}, {self.execution})", w, self.parallel)
        if self.generation is None:
            return f"{told}backward pass of a prefill of {w['context_len']}"
        return told + lengths(w)

    def rows(self) -> Iterator[TableRow]:
        """Each stage and part: name, depth and the cells of the columns."""
        for name, cost in self.stages.items():
            for part, depth, figures in cost_rows(name, cost):
                yield part, depth, tuple(figure.text for figure in figures)

    def notes(self) -> Iterator[str]:
        """What stands beside the table, a line each."""
        peaks = ", ".join(
            f"{name} at {cost.peak_path}" for name, cost in self.stages.items() if cost.peak_path
        )
        yield f"activations are most in {peaks}"
        touched = ", ".join(
            f"{float(amount):.4g} in {'a prefill' if name == 'prefill' else 'a decode step'}"
            for name, amount in self.experts.items()
            if name != "assumed"
        )
        if touched:
            yield f"experts that a layer reads ({self.experts['assumed']}): {touched}"
        if self.generation is None:
            yield (
                "the forward pass saves what its operators need; kernels that compute it again are "
                "not modelled"
            )
            return
        yield from self.exchange_notes()
        yield from map(latency_note, self.answers)
        w, request, page = self.workload, self._request, self._page
        whose, needs = "a request", "the batch"
        if self.is_spread:
            whose, needs = "a device's share of a request", "a device"
        yield (
            f"{whose} (prefill of {w['context_len']} and {_steps(w['new_tokens'])} behind it): "
            f"{human(request['flops'], 'FLOPs')}, {human(request['bytes_moved'], 'B')} moved, "
            f"{human(request['kv_bytes'], 'B')} of cache, {human(self._growth, 'B')} per token; "
            f"{needs} needs {human(self.generation.resident_bytes, 'B')} resident"
        )
        if page:
            yield (
                f"a page: {w['image_tokens']} tokens ({w['vision_tokens']} without newlines and "
                f"separator), {human(page['flops'], 'FLOPs')} and "
                f"{human(page['bytes_moved'], 'B')} moved in vision, "
                f"{human(page['kv_bytes'], 'B')} of cache{' on a device' if self.is_spread else ''}"
            )

    def exchange_notes(self) -> Iterator[str]:
        """What a device sends to others, a line for each way to make sums."""
        if not self.is_spread:
            return
        for how in AllReduce:
            sent = ", ".join(
                f"{human(all_sent_bytes(self.collectives[stage], how), 'B')} in {stage}"
                for stage in self.stages
            )
            yield f"a device sends, with {how.told} all-reduces: {sent}"
        if self.parallel.expert != 1:
            yield (
                "routing is taken as balanced: the experts of a device get as many rows as its own "
                "tokens choose"
            )

    @property
    def _growth(self) -> Amount:
        """Bytes of the cache for each token of a sequence."""
        w = self.workload
        tokens = self._sequences * (w["cached"] + w["new_tokens"])
        return simplest(as_rational(self.stages["decode"].kv_bytes) / tokens)

    @property
    def _sequences(self) -> int:
        return int(self.parallel.sequences(self.workload["batch"]))

    @property
    def _request(self) -> dict[str, Amount]:
        """A prefill and its steps, for one sequence."""
        whole = self.generation
        if whole is None:
            return {}
        count = self._sequences
        return {**_shares(whole, count), "kv_bytes": _share(whole.kv_bytes, count)}

    @property
    def _page(self) -> dict[str, Amount]:
        """What a page takes: tokens, its part of the vision stage, and of the cache."""
        w = self.workload
        if w["base_size"] is None:
            return {}
        pages = int(self.parallel.pages(w["batch"]))
        return {
            "image_tokens": w["image_tokens"],
            "vision_tokens": w["vision_tokens"],
            **_shares(self.stages["vision"], pages),
            "kv_bytes": simplest(as_rational(self._growth) * w["image_tokens"]),
        }

    def markdown(self) -> str:
        """The report as a table, with what stands beside it."""
        return _markdown(f"{self.title}.", self.columns, self.rows(), self.notes())


@dataclass(frozen=True)
class Comparison:
    """The same workload under several executions, side by side."""

    reports: Mapping[str, Report]

    def as_dict(self) -> dict[str, Any]:
        """The reports by execution."""
        return {name: report.as_dict() for name, report in self.reports.items()}

    @property
    def title(self) -> str:
        """What was asked, in a line or two."""
        return self._first.title.replace(f", {self._first.execution})", ")")

    @property
    def columns(self) -> tuple[str, ...]:
        """What is moved, done per byte, and live, under each execution."""
        return tuple(
            f"{what} {name}"
            for what in ("moved", "FLOPs/byte", "activations")
            for name in self.reports
        )

    def rows(self) -> Iterator[TableRow]:
        """Each stage and part: name, depth and the cells of the columns."""
        for name in self._first.stages:
            yield from self._rows(name, [r.stages[name] for r in self.reports.values()], 0)

    def _rows(self, name: str, costs: Sequence[Cost], depth: int) -> Iterator[TableRow]:
        yield (
            name,
            depth,
            (
                *(human(cost.bytes_moved, "B") for cost in costs),
                *(decimal_text(cost.intensity) for cost in costs),
                *(human(cost.activation_bytes, "B") for cost in costs),
            ),
        )
        for part in costs[0].parts:
            yield from self._rows(part, [cost.parts[part] for cost in costs], depth + 1)

    def notes(self) -> Iterator[str]:
        """What stands beside the table, a line each."""
        yield "FLOPs, weights and the cache are the same under every execution"
        yield from self._first.exchange_notes()
        for name, report in self.reports.items():
            for answer in report.answers:
                yield f"{name} {latency_note(answer)}"

    @property
    def _first(self) -> Report:
        return next(iter(self.reports.values()))

    def markdown(self) -> str:
        """The comparison as a table."""
        return _markdown(f"{self.title}.", self.columns, self.rows(), self.notes())


def _shares(cost: Cost, count: int) -> dict[str, Amount]:
    return {"flops": _share(cost.flops, count), "bytes_moved": _share(cost.bytes_moved, count)}


def _share(amount: Amount, count: int) -> Amount:
    return simplest(as_rational(amount) / count)


def _exchange(collective: Collective) -> dict[str, Any]:
    return {
        "path": collective.path,
        "kind": collective.kind.value,
        "count": exact(simplest(as_rational(collective.count))),
        "bytes": exact(collective.bytes),
        "group": int(collective.group),
        "sent_bytes": {how.value: exact(sent_bytes(collective, how)) for how in AllReduce},
        "steps": {how.value: exact(steps(collective, how)) for how in AllReduce},
    }


def asked(how: str, workload: Mapping[str, Any], parallel: Parallel) -> str:
    """What runs, on which batch and page, and on how many devices."""
    w = workload
    if w["base_size"] is None:
        page = "no image"
    else:
        grid = w["crop_grid"] if w["crops"] else None
        page = page_text(w["base_size"], w["tile_size"], grid, w["image_tokens"])
    told = f"{how}, batch {w['batch']}"
    if parallel != ONE_DEVICE:
        told += f" on {parallel.devices} devices ({parallel}), figures of the busiest"
    return f"{told}; {page}; "


def lengths(workload: Mapping[str, Any]) -> str:
    """The prefill and the steps of a workload."""
    w = workload
    steps = _tokens(w["new_tokens"])
    return f"prefill of {w['context_len']}; decode of {steps} on {w['cached']} cached"


def _plain(amount: Any) -> int | str:
    return exact(amount) if isinstance(amount, int | Fraction) else str(amount)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _tokens(count: int | str) -> str:
    return "1 token" if count == 1 else f"{count} tokens"


def _markdown(
    title: str, columns: Sequence[str], rows: Iterator[TableRow], notes: Iterator[str]
) -> str:
    lines = [
        title,
        "",
        "| " + " | ".join(("", *columns)) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for name, depth, cells in rows:
        label = f"**{name}**" if depth == 0 else "&nbsp;" * 4 * depth + name
        unbroken = (cell.replace(" ", "&nbsp;") for cell in cells)
        lines.append("| " + " | ".join((label, *unbroken)) + " |")
    return "\n".join([*lines, "", *(f"* {note}" for note in notes)]) + "\n"
