"""The command `symcost solve`."""

from __future__ import annotations

import json
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
from symcost.insight.conditions import memory_condition, solve_conditions
from symcost.insight.devices import DEFAULT_TYPE, device_named
from symcost.insight.roofline import Efficiency, rates
from symcost.insight.solving import Condition
from symcost.insight.subject import ANSWER, CROPS, SIZES
from symcost.render.sections import sections_markdown
from symcost.render.solution import solution_object, solution_section

_ASKED_BY = {CROPS: ("crop_grid",), "context_len": ("context_len", "prompt_tokens")}
"""Options that say what is asked for, where they have other names."""


@with_request(execution=Execution.IDEAL.value, lm_head=given.Head.LAST, new_tokens=ANSWER)
def solve(
    request: Request,
    condition: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONDITION]…",
            help="What is to hold: 'generation.resident_bytes <= 80GB', 'tpot <= 20ms', "
            "'decode.compute_time >= decode.memory_time', "
            "'prefill.decoder.attention.flops >= prefill.decoder.rest.flops', "
            "'vision.flops <= large:vision.flops'. Default: what the device's memory holds.",
        ),
    ] = None,
    opened: Annotated[
        str,
        typer.Option(
            "--for", metavar="SIZE", help=f"What is asked for: {', '.join((*SIZES, CROPS))}."
        ),
    ] = "batch",
    device: DeviceNames = None,
    devices: DevicesFile = None,
    number_type: NumberType = DEFAULT_TYPE,
    efficiency: EfficiencyOption = "1",
    all_reduce: AllReduceOption = AllReduce.RING,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """Exactly which batches, lengths, sides or crops meet conditions, with the limit's formula."""
    if opened not in (*SIZES, CROPS):
        raise InputError(f"for is {opened!r}; allowed: {', '.join((*SIZES, CROPS))}")
    for name in _ASKED_BY.get(opened, (opened,)):
        value = request.sizes[name]
        if value is not None and (name, value) != ("new_tokens", ANSWER):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"--for {opened} excludes {option}; it is what is asked for")
    if len(device or ()) > 1:
        raise InputError("--device is given more than once; solve answers for one device")
    texts, shares = list(condition or ()), Efficiency.parse(efficiency)
    chosen = device_named(device[0], devices) if device else None
    rate = None if chosen is None else rates(chosen, number_type, shares)
    if not texts and chosen is None:
        raise InputError(
            "nothing to solve; give a condition, such as 'generation.resident_bytes <= 80GB', or "
            "a device, such as --device H100-SXM"
        )
    with formulas_status():
        subject = request.subject(opened, all_reduce)
        conditions: list[str | Condition] = [*texts]
        if chosen is not None and not texts:
            conditions = [memory_condition(subject, chosen)]
        solution = solve_conditions(subject, conditions, rate)
    sections, summary = [solution_section(solution)], list(solution.sheet().notes)
    if chosen is not None:
        if chosen.vector is None:
            summary.append(f"{chosen.name} states no vector peak; vector work is in no time")
        summary.append(f"times are those of {chosen.name} in {number_type} at efficiency {shares}")
    title = request.title(opened)
    if show is Format.JSON:
        asked = {
            **request.told(opened),
            "device": None if chosen is None else chosen.name,
            "type": number_type,
            "efficiency": str(shares),
            "all_reduce": all_reduce.value,
            "conditions": [c if isinstance(c, str) else c.text for c in conditions],
        }
        found = {**asked, **solution_object(solution)}
        emit(json.dumps(found, indent=1) + "\n", output)
    elif show is Format.MARKDOWN:
        emit(sections_markdown(sections, summary, title), output)
    else:
        emit(lambda width: section_tables(sections, summary, title, width=width), output)
