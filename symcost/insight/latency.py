"""Latency and throughput of a workload on a device: the roofline of each stage and part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symcost.cost import Cost
from symcost.display import Cell, Displayed, Rounded, Sheet, Table, rounded
from symcost.exact import Evaluator, Number, as_rational, decimal_text
from symcost.insight.conditions import memory_condition
from symcost.insight.devices import DEFAULT_TYPE, Device
from symcost.insight.roofline import (
    AT_BEST,
    Efficiency,
    Granularity,
    Resource,
    Timing,
    by_kernel,
    rates,
    timing,
)
from symcost.insight.sensitivity import growth
from symcost.insight.solving import Solution, solve
from symcost.insight.subject import SHORT, Subject
from symcost.rounded import duration, human
from symcost.symbols import B, Expr, T

Groups = Sequence[Mapping[Resource, Expr]]
"""What runs one after the other, and what each of it asks of the engines."""


@dataclass(frozen=True)
class Line:
    """The roofline of a stage or of a part of one.

    Parameters
    ----------
    name : tuple of str
        The stage, and the parts that lead to this one.
    flops, bytes_moved : int or Fraction
        What it does and moves.
    timing : Timing
        How long it takes.
    """

    name: tuple[str, ...]
    flops: Number
    bytes_moved: Number
    timing: Timing

    @property
    def intensity(self) -> Fraction:
        """FLOPs per byte moved; zero where nothing is."""
        return Fraction(self.flops) / self.bytes_moved if self.bytes_moved else Fraction()

    def cells(self, engines: Iterable[Resource]) -> tuple[Cell, ...]:
        """Its row in a table: name, figures, how long engines are busy, the time, what bounds."""
        timing = self.timing
        return (
            "  " * (len(self.name) - 1) + self.name[-1],
            rounded(self.flops),
            rounded(self.bytes_moved, "B"),
            Rounded(decimal_text(self.intensity), str(self.intensity)),
            *(_seconds(timing.busy[engine]) for engine in engines),
            _seconds(timing.seconds),
            timing.bound_text,
        )


def _seconds(time: Fraction) -> Rounded:
    return Rounded(duration(time), f"{time} s")


@dataclass(frozen=True)
class Latency(Displayed):
    """How long a workload takes on a device.

    Parameters
    ----------
    batch, new_tokens : int
        Sequences, and tokens of each answer.
    lines : tuple of Line
        By stage and part; decode is all its steps.
    steps : Timing
        The steps behind the prefill, on what it has cached.
    page : Timing
        What one more sequence adds to a batch without end: it reads no weights of its own.
    resident : int or Fraction
        Bytes that a device has to hold.
    """

    batch: int
    new_tokens: int
    lines: tuple[Line, ...]
    steps: Timing
    page: Timing
    resident: Number

    def line(self, *name: str) -> Line:
        """The line of a stage or part."""
        return next(line for line in self.lines if line.name == name)

    @property
    def ttft(self) -> Timing:
        """Time to first token: the prefill, vision included."""
        return self.line("prefill").timing

    @property
    def tpot(self) -> Timing:
        """Time per output token behind the first pass: the mean step."""
        return self.line("decode").timing / self.new_tokens

    @property
    def request(self) -> Fraction:
        """Seconds from a request to the end of its answer."""
        return self.ttft.seconds + self.steps.seconds

    @property
    def requests_per_second(self) -> Fraction:
        """Answers per second where one batch follows the other; with an image, pages per second."""
        return self.batch / self.request

    @property
    def most_requests_per_second(self) -> Fraction:
        """Answers per second that no batch and no schedule exceeds.

        Prefills run beside the steps of other requests, no engine ever waits, and weights are read
        for so many sequences that a single one has no share in it.
        """
        return 1 / self.page.seconds

    def __repr__(self) -> str:
        """A line, not all of them."""
        return f"<Latency of batch {self.batch}>"

    def lines_table(self) -> Table:
        """The lines as a table, with the engines that have something to do."""
        engines = [r for r in Resource if any(line.timing.busy.get(r) for line in self.lines)]
        columns = ("", "FLOPs", "moved", "FLOPs/byte", *engines, "time", "bound by")
        return Table(columns, [line.cells(engines) for line in self.lines])

    def sheet(self) -> Sheet:
        """What notebooks show: the lines, and what they come to."""
        return Sheet(
            f"Latency of batch {self.batch}",
            [self.lines_table()],
            [
                f"first token after {duration(self.ttft.seconds)}, one more every "
                f"{duration(self.tpot.seconds)}, answers of {self.new_tokens} tokens after "
                f"{duration(self.request)}: {decimal_text(self.requests_per_second)} per second",
                f"{human(self.resident, 'B')} resident",
            ],
        )


class Rooflines:
    """The roofline of a subject whose batch is open, for any batch and device.

    Parameters
    ----------
    subject : Subject
        The model on a workload, opened for "batch".
    granularity : Granularity
        What runs one after the other.
    """

    def __init__(self, subject: Subject, granularity: Granularity = Granularity.STAGE) -> None:
        self._subject = subject
        self._granularity = granularity
        self._costs: dict[tuple[str, ...], Cost] = {}
        for stage in ("vision", "prefill", "decode"):
            self._costs |= dict(_named((stage,), subject.costs[stage]))
        self._groups = {name: self._grouped(name[0], cost) for name, cost in self._costs.items()}
        answer = subject.costs["generation"]
        self._steps = self._grouped("decode", answer.parts["decode"])
        self._page = [_per_sequence(subject.demands("generation", answer))]
        self._resident = subject.figure("generation.resident_bytes")[0]

    @property
    def is_spread(self) -> bool:
        """Whether devices exchange bytes."""
        return any(self._subject.collectives.values())

    def _grouped(self, stage: str, cost: Cost) -> Groups:
        if self._granularity is Granularity.STAGE:
            return [self._subject.demands(stage, cost)]
        links = [{Resource.LINK: sent} for sent in self._subject.sent(stage, cost)]
        return by_kernel(cost) + links

    def at(
        self,
        device: Device,
        batch: int,
        number_type: str = DEFAULT_TYPE,
        efficiency: Efficiency = AT_BEST,
    ) -> Latency:
        """The roofline of a batch on a device.

        Raises
        ------
        InputError
            The device states no peak for the type of numbers.
        """
        if self.is_spread:
            device.link_peak()
        bindings = {**self._subject.bindings, B: batch}
        evaluator = Evaluator(bindings)
        rate = rates(device, number_type, efficiency)

        def timed(groups: Groups) -> Timing:
            return timing(
                ({r: Fraction(evaluator(amount)) for r, amount in g.items()} for g in groups), rate
            )

        lines = tuple(
            Line(
                name,
                evaluator(as_rational(cost.flops)),
                evaluator(as_rational(cost.bytes_moved)),
                timed(self._groups[name]),
            )
            for name, cost in self._costs.items()
        )
        return Latency(
            batch,
            int(bindings[T]),
            lines,
            timed(self._steps),
            timed(self._page),
            evaluator(self._resident),
        )

    def work(self, target: str, batch: int) -> dict[Resource, Fraction]:
        """What the time to the first token, or that for each further one, is spent on."""
        stage = SHORT[target]
        evaluator = Evaluator({**self._subject.bindings, B: batch})
        count = 1 if target == "ttft" else self._subject.workload.new_tokens
        found = self._subject.demands(stage, self._subject.costs[stage])
        return {resource: Fraction(evaluator(amount)) / count for resource, amount in found.items()}

    def largest_batch(self, device: Device) -> Solution:
        """The largest batch that a device's memory holds, by solving.

        Raises
        ------
        DomainError
            Not even one sequence fits.
        """
        condition = memory_condition(self._subject, device)
        return solve([condition], self._subject.unknown, self._subject.bindings)


def _per_sequence(demanded: Mapping[Resource, Expr]) -> dict[Resource, Expr]:
    """What each sequence of a batch asks for, the more they are: the leading coefficients in B."""
    orders = {resource: growth(sp.expand(amount), B) for resource, amount in demanded.items()}
    return {resource: factor for resource, (degree, factor) in orders.items() if degree}


def _named(name: tuple[str, ...], cost: Cost) -> Iterator[tuple[tuple[str, ...], Cost]]:
    yield name, cost
    for part, share in cost.parts.items():
        yield from _named((*name, part), share)


@dataclass(frozen=True)
class Need:
    """What an engine has to do per second so that a stage takes no longer than a target.

    Parameters
    ----------
    target : str
        "ttft" or "tpot".
    seconds : Fraction
        The target.
    resource : Resource
        The engine.
    rate : Fraction
        The peak that it needs, in FLOPs or bytes per second.
    """

    target: str
    seconds: Fraction
    resource: Resource
    rate: Fraction


def needed(
    rooflines: Rooflines, targets: Mapping[str, Fraction], batch: int, efficiency: Efficiency
) -> list[Need]:
    """The peaks that times to first token and per token need, each stage taken as a whole.

    Parameters
    ----------
    targets : mapping of str to Fraction
        Seconds for "ttft", "tpot" or both.
    efficiency : Efficiency
        The share of each peak that is reached.
    """
    return [
        Need(target, seconds, resource, Fraction(amount) / seconds / efficiency.of(resource))
        for target, seconds in targets.items()
        for resource, amount in rooflines.work(target, batch).items()
    ]
