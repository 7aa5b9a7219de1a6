"""How long a GPU takes for each stage of the real model, beside the bound that formulas state.

It needs the extra `bench` and one CUDA device; without one it says so and measures nothing.
`--write` puts the table into a document, between comments, and leaves the rest of it as it is.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill
from typing import Any, TypeAlias

from measuring import duration

import symcost
from symcost.errors import InputError
from symcost.files import require_writable, write_all
from symcost.insight.devices import Device, device_named
from symcost.insight.latency import Latency, Rooflines
from symcost.insight.roofline import Granularity, Timing
from symcost.insight.subject import Subject
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig, from_dict
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.workload import Workload
from symcost.stages import Stage
from symcost.verify import room, versions

DEVICES = {
    "NVIDIA A100-SXM4-40GB": "A100-40GB",
    "NVIDIA A100-SXM4-80GB": "A100-80GB",
    "NVIDIA H100 80GB HBM3": "H100-SXM",
    "NVIDIA H100 PCIe": "H100-PCIe",
    "NVIDIA H200": "H200-SXM",
    "NVIDIA H20": "H20",
    "NVIDIA B200": "B200",
    "NVIDIA L4": "L4",
    "NVIDIA L40S": "L40S",
    "NVIDIA GeForce RTX 4090": "RTX-4090",
    "NVIDIA GeForce RTX 5090": "RTX-5090",
}
"""Devices by the name that the driver gives them."""

BOUND = "bound"
PREDICTIONS = {
    BOUND: ("ideal", Granularity.STAGE),
    "fused": ("fused", Granularity.KERNEL),
    "eager": ("eager", Granularity.KERNEL),
}
"""What is predicted: the bound, and kernels one after the other."""

BEGIN, END = "<!-- made by bench/gpu.py: begin -->", "<!-- made by bench/gpu.py: end -->"
"""What the part of a document lies between that this script writes."""

Measure: TypeAlias = Callable[[Stage, Workload], tuple[Fraction | None, list[float]]]
"""The experts that a stage touches on a workload, and the seconds of some runs."""


@dataclass(frozen=True)
class Case:
    """A stage on a workload."""

    name: str
    stage: Stage
    workload: Workload

    def __str__(self) -> str:
        return f"{self.name}, batch {self.workload.batch}, {self.stage}"


def cases() -> Iterator[Case]:
    """What is measured."""
    for mode, name in (("gundam", "A4 page in Gundam mode"), ("base", "page in base mode")):
        for batch in (1, 8):
            page = Workload.from_options(mode=mode, batch=batch)
            for stage in (Stage.VISION, Stage.PREFILL):
                yield Case(f"{name}, {page.context_len} tokens", stage, page)
    text = Workload.from_options(no_image=True, context_len=4096)
    yield Case("text of 4096 tokens", Stage.PREFILL, text)
    for cached in (924, 4096):
        for batch in (1, 8, 64):
            step = Workload.from_options(no_image=True, batch=batch, cached=cached)
            yield Case(f"{cached} tokens cached", Stage.DECODE, step)


@dataclass(frozen=True)
class Row:
    """What is predicted and measured of a case; without samples where memory was not enough."""

    case: Case
    experts: Fraction | None
    predicted: Mapping[str, Timing]
    samples: Sequence[float]

    @property
    def bound(self) -> Timing:
        return self.predicted[BOUND]

    @property
    def too_fast(self) -> bool:
        """Whether a run was faster than anything can be that does the work."""
        return any(Fraction(sample) < self.bound.seconds for sample in self.samples)

    @property
    def cells(self) -> tuple[str, ...]:
        seconds = statistics.median(self.samples) if self.samples else None
        return (
            self.case.name,
            str(self.case.workload.batch),
            str(self.case.stage),
            "–" if self.experts is None else f"{float(self.experts):.3g}",
            *(duration(float(timing.seconds)) for timing in self.predicted.values()),
            str(self.bound.bound),
            "not enough memory" if seconds is None else duration(seconds),
            "–" if seconds is None else f"{seconds / float(self.bound.seconds):.3g}",
        )


COLUMNS = (
    *("workload", "batch", "stage", "experts"),
    *("bound", "fused", "eager", "bound by", "measured", "measured / bound"),
)


def predicted(
    case: Case, device: Device, config: DeepseekOCRConfig, experts: Fraction | None
) -> dict[str, Timing]:
    """How long a stage takes at best, and kernel by kernel, with the experts that it touches."""
    routing = Routing()
    if experts is not None:
        routing = Routing(**{str(case.stage): experts / config.decoder.experts})
    return {
        name: latency(name, case.workload, device, config, routing).line(str(case.stage)).timing
        for name in PREDICTIONS
    }


def latency(
    name: str, workload: Workload, device: Device, config: DeepseekOCRConfig, routing: Routing
) -> Latency:
    """One of the predictions, for all stages."""
    execution, granularity = PREDICTIONS[name]
    build = partial(_built, config=config, execution=execution, routing=routing, lm_head="last")
    subject = Subject(build, workload, "batch")
    return Rooflines(subject, granularity).at(device, workload.batch)


def _built(views: Any, **options: Any) -> Any:
    return symcost.load("deepseek-ocr", views=views, reference="transformers", **options)


def rows(
    measure: Measure, asked: Iterable[Case], device: Device, config: DeepseekOCRConfig
) -> Iterator[Row]:
    """Each case, measured and predicted."""
    for case in asked:
        experts, samples = measure(case.stage, case.workload)
        yield Row(case, experts, predicted(case, device, config, experts), samples)


def require_slower(found: Iterable[Row]) -> None:
    """Refuse times that are below the bound: either is wrong then."""
    if wrong := [row for row in found if row.too_fast]:
        told = "; ".join(
            f"{row.case} took {duration(min(row.samples))}, at least "
            f"{duration(float(row.bound.seconds))} are needed"
            for row in wrong
        )
        raise SystemExit(f"error: faster than the bound: {told}; nothing was written")


# The device.


def known_as(name: str, given: str | None) -> Device:
    """The device of symcost's table, by what the driver calls it or by what was given."""
    if given is None and name not in DEVICES:
        raise InputError(
            f"symcost has no device for {name!r}; give one of its table, such as --device H200-SXM"
        )
    return device_named(DEVICES[name] if given is None else given)


def facts(torch: Any, device: Device) -> dict[str, str]:
    """What was measured on, and with."""
    name, memory = torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory
    return {
        "Device": f"{name}, {memory >> 30} GiB; predicted as {device.name}",
        "Driver": driver(),
        "CUDA": str(torch.version.cuda),
        **versions("torch", "transformers"),
    }


def driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "nvidia-smi does not tell"
    return done.stdout.split()[0]


# The document.


def section(found: Sequence[Row], told: Mapping[str, str], stages: Any) -> str:
    """The part of a document, comments around it included."""
    text = (
        "This part is made by `python bench/gpu.py --write docs/PERFORMANCE.md`. The port in "
        f"transformers runs as it is, operator by operator, with random weights in bf16, attention "
        f"by {stages.ATTENTION}, experts by {stages.EXPERTS}, its head on the last token, and "
        "attention to all keys, since a causal kernel would leave out products that formulas "
        f"count. Times are medians of {stages.SAMPLES} runs by the device's own clock, after "
        f"{stages.WARM_UPS} runs that warm up; its caches are filled with other data before each. "
        "The bound is that of compulsory traffic at 100 % of all peaks, a stage as a whole, with "
        "the distinct experts that a layer was seen to touch (their mean over layers); no run is "
        "faster. Beside it: fused and eager kernels one after the other, at 100 % of peaks."
    )
    lines = [
        BEGIN,
        "## On a GPU",
        "",
        fill(text, 110, break_long_words=False, break_on_hyphens=False),
        "",
        *_table(("", ""), told.items()),
        "",
        *_table(COLUMNS, (row.cells for row in found)),
        END,
    ]
    return "\n".join(lines)


def _table(columns: Sequence[str], cells: Iterable[Iterable[str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in cells:
        yield "| " + " | ".join(row) + " |"


def part_of(document: str) -> str:
    """What this script has written into a document; nothing where it has not."""
    if (document.count(BEGIN), document.count(END)) not in {(0, 0), (1, 1)}:
        raise InputError(f"the document needs both of {BEGIN} and {END} once, or neither")
    _, begin, rest = document.partition(BEGIN)
    return begin + rest.partition(END)[0] + (END if begin else "")


def with_part(document: str, part: str) -> str:
    """A document with that as its part of this script, in its old place or at the end."""
    if old := part_of(document):
        return document.replace(old, part)
    return f"{document.rstrip()}\n\n{part}\n" if part else document


def written_in(file: Path) -> str:
    """The text of a document; nothing where there is none yet."""
    return file.read_text(encoding="utf-8") if file.is_file() else ""


# The program.


def nothing_measured(reason: str) -> int:
    print(f"{reason}; nothing was measured")
    return 0


def measured(given: str | None, write: Path | None) -> int:
    if find_spec("torch") is None:
        return nothing_measured("torch is not installed, so there is no CUDA device to be asked")
    torch = import_module("torch")
    if not torch.cuda.is_available():
        return nothing_measured("no CUDA device here")
    device = known_as(torch.cuda.get_device_name(0), given)
    if write:
        require_writable(write)
        part_of(written_in(write))
    room("symcost.verify.port")
    stages = import_module("port_stages")
    told = facts(torch, device)
    model = stages.random_port(stages.config(), "cuda")
    measure = partial(stages.measured, model, timer=stages.device_timer("cuda"))
    found = []
    for row in rows(measure, cases(), device, from_dict(model.config.to_dict())):
        print(" | ".join(row.cells), flush=True)
        found.append(row)
    require_slower(found)
    part = section(found, told, stages)
    print(part)
    if write:
        write_all({write: with_part(written_in(write), part)})
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", metavar="NAME", help="what it is in symcost's table")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into a document")
    options = parser.parse_args(arguments)
    try:
        return measured(options.device, options.write)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
