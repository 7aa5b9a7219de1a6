"""Rooflines as people read them and as an object of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from symcost.display import cell_text
from symcost.errors import DomainError
from symcost.exact import decimal_text
from symcost.figures import exact
from symcost.insight.collectives import AllReduce
from symcost.insight.devices import DEFAULT_TYPE, Device
from symcost.insight.latency import Latency, Need, Rooflines, needed
from symcost.insight.roofline import AT_BEST, Efficiency, Granularity, Resource, Timing
from symcost.insight.solving import Solution
from symcost.render.sections import Section
from symcost.render.solution import solution_object
from symcost.rounded import duration, human

DAY = 24 * 3600
_UNITS = {
    Resource.MATRIX: "FLOPS",
    Resource.VECTOR: "FLOPS",
    Resource.MEMORY: "B/s",
    Resource.LINK: "B/s",
}


@dataclass(frozen=True)
class Answer:
    """What a device makes of a workload.

    Parameters
    ----------
    device : Device
        The device.
    number_type : str
        What its matrix units compute in.
    asked : Latency
        The workload's batch.
    fits : Solution or None
        The batches that its memory holds; None where it does not hold one sequence.
    largest : Latency or None
        The largest of them.
    needs : sequence of Need
        What the targets need.
    """

    device: Device
    number_type: str
    asked: Latency
    fits: Solution | None
    largest: Latency | None
    needs: Sequence[Need] = ()


def answer_of(
    rooflines: Rooflines,
    device: Device,
    batch: int,
    number_type: str = DEFAULT_TYPE,
    efficiency: Efficiency = AT_BEST,
    targets: Mapping[str, Fraction] = MappingProxyType({}),
) -> Answer:
    """What a device makes of a batch, and of the largest batch that its memory holds.

    Raises
    ------
    InputError
        The device states no peak for the type of numbers, or no link where one is needed.
    """
    asked = rooflines.at(device, batch, number_type, efficiency)
    needs = needed(rooflines, targets, batch, efficiency)
    try:
        fits = rooflines.largest_batch(device)
    except DomainError:
        return Answer(device, number_type, asked, None, None, needs)
    most = fits.ranges[-1][1]
    largest = None if most is None else rooflines.at(device, most, number_type, efficiency)
    return Answer(device, number_type, asked, fits, largest, needs)


def latency_object(answer: Answer) -> dict[str, Any]:
    """What a device makes of a workload, as JSON shows it: seconds are exact."""
    return {
        "device": answer.device.name,
        "type": answer.number_type,
        "ridge": exact(answer.device.ridge(answer.number_type)),
        "asked": _latency(answer.asked),
        "largest_batch": None if answer.fits is None else solution_object(answer.fits),
        "largest": None if answer.largest is None else _latency(answer.largest),
        "needed": [
            {
                "target": need.target,
                "seconds": exact(need.seconds),
                "engine": need.resource.value,
                "rate": exact(need.rate),
            }
            for need in answer.needs
        ],
    }


def _latency(found: Latency) -> dict[str, Any]:
    return {
        "batch": found.batch,
        "new_tokens": found.new_tokens,
        "resident_bytes": exact(found.resident),
        "ttft": _timing(found.ttft),
        "tpot": _timing(found.tpot),
        "request_seconds": exact(found.request),
        "requests_per_second": exact(found.requests_per_second),
        "most_requests_per_second": exact(found.most_requests_per_second),
        "lines": {
            ".".join(line.name): {
                "flops": exact(line.flops),
                "bytes_moved": exact(line.bytes_moved),
                "intensity": exact(line.intensity),
                **_timing(line.timing),
            }
            for line in found.lines
        },
    }


def _timing(timing: Timing) -> dict[str, Any]:
    return {
        "seconds": exact(timing.seconds),
        "bound": None if timing.bound is None else timing.bound.value,
        "busy_seconds": {r.value: exact(value) for r, value in timing.busy.items()},
        "bound_seconds": {r.value: exact(value) for r, value in timing.bound_by.items()},
    }


def latency_note(answer: Answer) -> str:
    """What a device makes of a workload, in a line."""
    found = answer.asked
    fits = "" if found.resident <= answer.device.memory else "; its memory does not hold that"
    return (
        f"on {answer.device.name} in {answer.number_type}, at 100 % of peaks: first token after "
        f"{duration(found.ttft.seconds)} ({found.ttft.bound_text}), "
        f"{duration(found.tpot.seconds)} per token ({found.tpot.bound_text}), "
        f"{decimal_text(found.requests_per_second)} requests per second{fits}"
    )


def latency_sections(
    answers: Sequence[Answer], best: Sequence[Answer], efficiency: Efficiency, *, lines: bool
) -> Iterator[Section]:
    """What devices make of a workload: by stage and part if asked, and together.

    Parameters
    ----------
    answers, best : sequence of Answer
        With the stated efficiency, and at best where that is something else.
    lines : bool
        Whether each device is shown by stage and part.
    """
    if lines:
        yield from map(_lines, answers)
    if any(answer.needs for answer in answers):
        yield _needed(answers)
    yield _answers(f"Answers with efficiency {efficiency}" if best else "Answers at best", answers)
    if best:
        yield _answers("Answers at best", best)


def _answers(title: str, answers: Sequence[Answer]) -> Section:
    columns = ("batch", "resident", "TTFT", "TPOT", "request", "per second", "per day", "at most")
    rows = [row for answer in answers for row in _rows(answer)]
    return Section(title, ("device", *columns), rows, 1)


def _lines(answer: Answer) -> Section:
    device = answer.device
    peak = human(device.peak(answer.number_type), "FLOPS")
    title = (
        f"{device.name}, batch {answer.asked.batch}: {peak} in {answer.number_type}, "
        f"{human(device.memory_bandwidth, 'B/s')}, ridge at "
        f"{decimal_text(device.ridge(answer.number_type))} FLOPs/byte"
    )
    table = answer.asked.lines_table()
    return Section(title, table.columns, [tuple(map(cell_text, row)) for row in table.rows], 1)


def _rows(answer: Answer) -> Iterator[tuple[str, ...]]:
    yield _row(answer, answer.asked)
    if answer.largest is not None and answer.largest.batch != answer.asked.batch:
        yield _row(answer, answer.largest)


def _row(answer: Answer, found: Latency) -> tuple[str, ...]:
    fits = found.resident <= answer.device.memory
    return (
        answer.device.name,
        f"{found.batch:,}",
        human(found.resident, "B") + ("" if fits else ", too much"),
        f"{duration(found.ttft.seconds)}, {found.ttft.bound_text}",
        f"{duration(found.tpot.seconds)}, {found.tpot.bound_text}",
        duration(found.request),
        decimal_text(found.requests_per_second),
        f"{int(found.requests_per_second * DAY):,}",
        f"{int(found.most_requests_per_second * DAY):,}",
    )


def _needed(answers: Sequence[Answer]) -> Section:
    """What each engine needs, and by what factor all have to grow together as things run."""
    rows = []
    for answer in answers:
        for target in dict.fromkeys(need.target for need in answer.needs):
            needs = [need for need in answer.needs if need.target == target]
            seconds, name = needs[0].seconds, answer.device.name
            told = f"{target.upper()} {duration(seconds)}"
            for need in needs:
                unit, peak = _UNITS[need.resource], _peak(answer, need.resource)
                has = "–" if peak is None else human(peak, unit)
                share = "–" if peak is None else f"{decimal_text(100 * need.rate / peak)} %"
                rows.append((name, told, need.resource.value, human(need.rate, unit), has, share))
            took = getattr(answer.asked, target).seconds
            factor = f"{decimal_text(took / seconds)} times"
            rows.append((name, told, "all together", factor, f"takes {duration(took)}", ""))
    columns = ("device", "target", "engine", "needs", "has", "share")
    return Section("What targets need: of each engine, as if it alone bound", columns, rows, 3)


def _peak(answer: Answer, resource: Resource) -> Fraction | None:
    peaks: Mapping[Resource, Fraction | None] = {
        Resource.MATRIX: answer.device.peak(answer.number_type),
        Resource.VECTOR: answer.device.vector,
        Resource.MEMORY: answer.device.memory_bandwidth,
        Resource.LINK: answer.device.link_bandwidth,
    }
    return peaks[resource]


def latency_summary(
    answers: Sequence[Answer],
    granularity: Granularity,
    all_reduce: AllReduce,
    *,
    pages: bool,
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[str]:
    """The convention, and what does not fit, is not stated or not shown.

    Parameters
    ----------
    left_out : mapping of str to str
        Devices that are not shown, and why.
    """
    if granularity is Granularity.STAGE:
        told = "each stage as a whole takes as long as its slowest engine (maximum of sums)"
    else:
        told = "kernels run one after the other, each as long as its slowest engine (sum of maxima)"
    yield f"at best is at 100 % of each peak; {told}"
    what = "pages" if pages else "requests"
    yield (
        f"a request is a prefill and all steps on what it caches; {what} per second and per day "
        "where one batch follows the other; at most, per day, whatever the batch and the schedule"
    )
    if any(line.timing.busy.get(Resource.LINK) for a in answers for line in a.asked.lines):
        yield (
            f"links carry {all_reduce.told} all-reduces, and a row for each token and chosen "
            "expert; other algorithms may send less"
        )
    for name, reason in left_out.items():
        yield f"{name} is not shown: it states {reason}"
    for answer in answers:
        name = answer.device.name
        if answer.fits is None:
            yield f"{name}: its memory does not hold one sequence"
        if answer.device.vector is None:
            yield f"{name} states no vector peak; vector work is not in its times"
