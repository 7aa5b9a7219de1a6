"""The command `symcost devices`, and the options that name a device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from symcost.cli import options as given
from symcost.cli.options import Format
from symcost.cli.output import emit, section_tables
from symcost.insight.collectives import AllReduce
from symcost.insight.devices import NUMBER_TYPES, known_devices
from symcost.render.devices import devices_object, devices_sections, devices_summary
from symcost.render.sections import sections_markdown

DevicesFile = Annotated[
    Path | None,
    typer.Option(
        "--devices",
        metavar="FILE",
        help="A TOML file with devices of your own; the README shows its form.",
    ),
]
DeviceNames = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="What it runs on, as `symcost devices` lists it; may be given several times.",
    ),
]
NumberType = Annotated[
    str,
    typer.Option(
        "--type", metavar="NAME", help=f"What matrix units compute in: {', '.join(NUMBER_TYPES)}."
    ),
]
EfficiencyOption = Annotated[
    str,
    typer.Option(
        metavar="SHARE|NAME=SHARE,…",
        help="The share of peaks that is reached, such as 0.7 or matrix=0.6,memory=0.8. Best: 1.",
    ),
]
AllReduceOption = Annotated[
    AllReduce,
    typer.Option(help="How several devices make sums, with --parallel: ring or tree."),
]


def devices(
    file: DevicesFile = None,
    show: given.FormatOption = Format.TABLE,
    output: given.Output = None,
) -> None:
    """What devices can do at most: peaks, memory, bandwidths, and where these are from."""
    found = known_devices(file)
    if show is Format.JSON:
        emit(json.dumps(devices_object(found), indent=2, ensure_ascii=False) + "\n", output)
        return
    sections, summary = list(devices_sections(found)), list(devices_summary(found))
    if show is Format.MARKDOWN:
        emit(sections_markdown(sections, summary), output)
    else:
        emit(lambda width: section_tables(sections, summary, width=width), output)
