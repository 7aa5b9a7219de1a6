"""The command `symcost roofline`."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Annotated

import typer

from symcost.cli import options as given
from symcost.cli.devices import (
    AllReduceOption,
    DeviceNames,
    DevicesFile,
    EfficiencyOption,
    NumberType,
)
from symcost.cli.options import Format
from symcost.cli.output import emit, formulas_status, section_tables
from symcost.cli.request import Request, with_request
from symcost.errors import InputError
from symcost.execution import Execution
from symcost.insight.collectives import AllReduce
from symcost.insight.devices import DEFAULT_TYPE, device_named, known_devices
from symcost.insight.latency import Rooflines
from symcost.insight.roofline import AT_BEST, Efficiency, Granularity
from symcost.insight.subject import ANSWER
from symcost.insight.units import Dimension, parse_as
from symcost.render.latency import (
    answer_of,
    latency_object,
    latency_sections,
    latency_summary,
)
from symcost.render.sections import sections_markdown


@with_request(execution=Execution.IDEAL.value, lm_head=given.Head.LAST, new_tokens=ANSWER)
def roofline(
    request: Request,
    device: DeviceNames = None,
    devices: DevicesFile = None,
    number_type: NumberType = DEFAULT_TYPE,
    efficiency: EfficiencyOption = "1",
    granularity: Annotated[
        Granularity,
        typer.Option(
            help="stage: the maximum of sums, a bound whatever the kernels. kernel: the sum of "
            "maxima over the kernels of --execution."
        ),
    ] = Granularity.STAGE,
    target_ttft: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The peaks that this time to first token needs: 200ms."),
    ] = None,
    target_tpot: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The peaks that this time per output token needs: 20ms."),
    ] = None,
    all_reduce: AllReduceOption = AllReduce.RING,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """How long devices take at best, what bounds them, and how many pages that is in a day."""
    shares = Efficiency.parse(efficiency)
    targets = {
        name: _target(name, text)
        for name, text in (("ttft", target_ttft), ("tpot", target_tpot))
        if text is not None
    }
    with formulas_status():
        rooflines = Rooflines(request.subject("batch", all_reduce), granularity)
    batch = request.workload().batch

    table = known_devices(devices)
    left_out: dict[str, str] = {}
    if not device:
        left_out = {
            name: f"no peak for {number_type}"
            for name, each in table.items()
            if number_type not in each.matrix
        }
        if rooflines.is_spread:
            left_out |= {n: "no link" for n, each in table.items() if each.link_bandwidth is None}
    names = device or [name for name in table if name not in left_out]
    if not names:
        raise InputError(
            f"no device states a matrix peak for {number_type!r} and what else it takes"
        )
    chosen = [device_named(name, devices) for name in names]
    answers = [answer_of(rooflines, d, batch, number_type, shares, targets) for d in chosen]
    best = []
    if shares != AT_BEST:
        best = [answer_of(rooflines, d, batch, number_type) for d in chosen]
    title = request.title()
    if show is Format.JSON:
        found = {
            **request.told(),
            "granularity": granularity.value,
            "efficiency": str(shares),
            "all_reduce": all_reduce.value,
            "devices": [latency_object(a) for a in answers],
            "at_best": [latency_object(a) for a in best or answers],
        }
        emit(json.dumps(found, indent=1) + "\n", output)
        return
    pages = request.workload().views is not None
    sections = list(latency_sections(answers, best, shares, lines=device is not None))
    summary = list(
        latency_summary(answers, granularity, all_reduce, pages=pages, left_out=left_out)
    )
    if show is Format.MARKDOWN:
        emit(sections_markdown(sections, summary, title), output)
    else:
        emit(lambda width: section_tables(sections, summary, title, width=width), output)


def _target(name: str, text: str) -> Fraction:
    found = parse_as(text, Dimension.SECONDS, f"target-{name}")
    if not found:
        raise InputError(f"target-{name} is {text}; allowed: a time above zero, such as 200ms")
    return found
