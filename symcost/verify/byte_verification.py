"""The verification of bytes and memory: what the real code moves, touches and keeps alive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from typing import Any, TypeAlias

import torch

from symcost.cost import Direction
from symcost.exact import Evaluator, Number
from symcost.execution import Execution, cost_of
from symcost.figures import exact
from symcost.models.deepseek_ocr.workload import Workload
from symcost.stages import Stage
from symcost.symbols import Expr
from symcost.verify import Progress, versions
from symcost.verify.byte_counter import count
from symcost.verify.byte_mutants import mutants
from symcost.verify.comparison import digits, sizes_of
from symcost.verify.eager import Share, digest, eager_shares, graphs_of
from symcost.verify.grid import FULL_BYTES, ByteGrid, text
from symcost.verify.liveness import measure
from symcost.verify.port import (
    Real,
    cache_of,
    filled_cache,
    images_of,
    port,
    run_decoder,
    run_towers,
    run_vision,
)
from symcost.verify.routing import CONFIDENCE, PATH, RealExperts, Touched
from symcost.verify.stated import REFERENCE
from symcost.verify.traffic import (
    Gap,
    Observation,
    gaps,
)

NEAR = Fraction(5, 100)
"""How far a stated peak may be from the measured one."""

_TOWERS = ("model.vision_tower", "model.multi_modal_projector")


Both: TypeAlias = dict[Direction, Number]
"""Bytes read and bytes written."""


def _none() -> Both:
    return dict.fromkeys(Direction, 0)


@dataclass
class Row:
    """All comparisons of a class of operators in a stage: sums over all runs and modules."""

    stage: str
    kind: str
    runs: int = 0
    stated: Both = field(default_factory=_none)
    counted: Both = field(default_factory=_none)


@dataclass
class Remaining:
    """A difference that is known to the byte, and in how many modules of runs it is."""

    reason: str
    modules: str
    kind: str
    places: set[tuple[str, Workload]] = field(default_factory=set)
    bytes: Both = field(default_factory=_none)
    largest_share: float = 0.0


@dataclass(frozen=True)
class Peak:
    """Live activations of a stage at their peak, as stated and as measured.

    Parameters
    ----------
    path : str
        Where it is stated to be.
    place : str
        The operator and the module at which it was measured.
    """

    stage: Stage
    workload: Workload
    path: str
    stated: Number
    place: str
    measured: int

    @property
    def is_near(self) -> bool:
        """Whether what is stated is within `NEAR` of what was measured."""
        return abs(Fraction(self.stated) - self.measured) <= NEAR * self.measured

    def __str__(self) -> str:
        return (
            f"{self.stage}: live activations of {digits(self.stated)} bytes are stated at "
            f"{self.path}, {digits(self.measured)} were measured at {self.place} "
            f"({sizes_of(self.workload)})"
        )


@dataclass
class ByteVerification:
    """What was compared, and how it came out."""

    model: str
    grid: ByteGrid
    formulas: str = ""
    comparisons: int = 0
    modules: set[str] = field(default_factory=set)
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    remaining: dict[tuple[str, str, str], Remaining] = field(default_factory=dict)
    routing: list[Touched] = field(default_factory=list)
    peaks: list[Peak] = field(default_factory=list)
    mutants: int = 0
    survivors: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The verification as JSON shows it."""
        return {
            "model": self.model,
            "reference": REFERENCE,
            "versions": versions("torch", "transformers", "sympy"),
            "formulas": self.formulas,
            "comparisons": self.comparisons,
            "module_paths": len(self.modules),
            "problems": self.problems,
            "rows": [
                {
                    "stage": row.stage,
                    "operators": row.kind,
                    "runs": row.runs,
                    "stated": _plain(row.stated),
                    "counted": _plain(row.counted),
                }
                for row in self.rows.values()
            ],
            "remaining": [
                {
                    "reason": known.reason,
                    "modules": known.modules,
                    "operators": known.kind,
                    "times": len(known.places),
                    "bytes": _plain(known.bytes),
                    "largest_share": round(known.largest_share, 6),
                }
                for known in self.remaining.values()
            ],
            "routing": [
                {
                    "tokens": seen.tokens,
                    "draws": seen.draws,
                    "mean": round(float(seen.mean), 4),
                    "confidence": CONFIDENCE,
                    "half_width": round(seen.half_width, 4),
                    "expected": round(float(seen.expected), 4),
                    "least": seen.least,
                    "most": seen.most,
                }
                for seen in self.routing
            ],
            "peaks": [
                {
                    "stage": peak.stage.value,
                    "sizes": sizes_of(peak.workload),
                    "path": peak.path,
                    "stated": exact(peak.stated),
                    "measured": peak.measured,
                    "measured_at": peak.place,
                }
                for peak in self.peaks
            ],
            "mutants": {"made": self.mutants, "survivors": self.survivors},
            "grid": self.grid.as_dict(),
        }

    def book(self, observation: Observation, shares: Sequence[Share]) -> None:
        """Compare a run at every module, class of operators and direction."""
        stage = "experts" if observation.experts else observation.stage.value
        stated, counted = observation.stated(shares), observation.counted()
        keys = dict.fromkeys((*stated, *counted))
        self.comparisons += len(keys)
        self.modules.update(module for module, _, _ in keys)
        for kind in dict.fromkeys(kind for _, kind, _ in keys):
            self.rows.setdefault((stage, kind), Row(stage, kind)).runs += 1
        for key in keys:
            _, kind, direction = key
            row = self.rows[stage, kind]
            row.stated[direction] += stated.get(key, 0)
            row.counted[direction] += counted.get(key, 0)
        for gap in gaps(observation, shares):
            if gap.is_known:
                self._remember(gap)
            else:
                self.problems.append(str(gap))

    def _remember(self, gap: Gap) -> None:
        for known in gap.declared:
            modules = re.sub(r"\d+", "N", gap.module) or "the whole model"
            place = (known.reason, modules, gap.kind)
            seen = self.remaining.setdefault(place, Remaining(*place))
            seen.places.add((gap.module, gap.workload))
            seen.bytes[gap.direction] -= known.more(gap.workload, gap.direction)
            seen.largest_share = max(seen.largest_share, gap.share)


def _plain(amounts: Both) -> dict[str, int | str]:
    return {direction.value: exact(amount) for direction, amount in amounts.items()}


class Bench:
    """The real model, the graphs that are stated of it, and what each run of it moves."""

    def __init__(self, model: str) -> None:
        self._real = Real()
        self.graphs = graphs_of(model)
        self.shares = {key: eager_shares(graphs) for key, graphs in self.graphs.items()}

    @cached_property
    def _experts(self) -> RealExperts:
        return RealExperts()

    def runs(self, grid: ByteGrid) -> Iterator[Callable[[], Observation]]:
        """All runs of a grid."""
        for workload in grid.vision:
            yield partial(self.see, workload)
        for workload in grid.prefill:
            yield partial(self.decode, Stage.PREFILL, workload)
        for workload in grid.decode:
            yield partial(self.decode, Stage.DECODE, workload)
        for tokens in grid.experts:
            yield partial(self.route, tokens)

    def see(self, workload: Workload) -> Observation:
        """What the vision tower and the projector move."""
        given = images_of(self._real.meta, workload.batch, workload.views)
        moved = count(self._real.meta, lambda: run_towers(self._real.meta, given))
        modules = tuple(m for path in _TOWERS for m in self._real.modules_in(path))
        return Observation(Stage.VISION, workload, moved, modules)

    def decode(self, stage: Stage, workload: Workload) -> Observation:
        """What the whole model moves in a prefill or a step, but for the routed experts."""
        model, batch, tokens = self._real.meta, workload.batch, workload.context_len
        past = filled_cache(model, batch, workload.cached)
        given = images_of(model, batch, workload.views)
        moved = count(model, lambda: run_decoder(model, batch, tokens, past, given))
        return Observation(stage, workload, moved, self._real.modules)

    def route(self, tokens: int) -> Observation:
        """What one block with experts moves, for the experts that its real router chooses."""
        run = self._experts.run(tokens)
        modules = self._real.modules_in(PATH)
        return Observation(Stage.PREFILL, text(1, tokens), run.moved, modules, run.hit)

    @cached_property
    def _with_grouped_experts(self) -> Any:
        """The real model with the experts of transformers' default, which need no values."""
        model = port()
        model.set_experts_implementation("grouped_mm")
        return model

    def peak(self, stage: Stage, workload: Workload) -> Peak:
        """The peak of live activations of a stage, as stated and as measured."""
        model, has_page = self._with_grouped_experts, workload.views is not None
        images = images_of(model, workload.batch, workload.views)
        given = [x for x in images.values() if isinstance(x, torch.Tensor)]
        if stage is Stage.VISION:
            seen = measure(model, lambda: run_vision(model, images), given=given, inside="model")
        else:
            batch, tokens = workload.batch, workload.context_len
            past = cache_of(model, batch, workload.cached)
            given.append(model.model.language_model.rotary_emb.inv_freq)
            seen = measure(
                model,
                lambda: run_decoder(model, batch, tokens, past, images),
                given=given,
                cache=past,
            )
        measured, value = seen.peak(), Evaluator(workload.bindings)
        path, live = max(
            ((path, value(live)) for path, live in self._moments(stage, has_page)),
            key=lambda moment: moment[1],
        )
        return Peak(stage, workload, path, live, measured.place, measured.live)

    def _moments(self, stage: Stage, has_page: bool) -> Iterator[tuple[str, Expr]]:
        for graph in self.graphs[stage, has_page]:
            yield from cost_of(graph, Execution.EAGER).moments

    def touched(self, tokens: Sequence[int]) -> tuple[Touched, ...]:
        """How many distinct experts the real router makes tokens touch."""
        return self._experts.touched(tokens)


def verify_bytes(
    model: str = "deepseek-ocr",
    *,
    grid: ByteGrid = FULL_BYTES,
    progress: Progress = lambda *_: None,
) -> ByteVerification:
    """Compare eager traffic with what the real code moves, up to the first run that differs.

    Parameters
    ----------
    model : str
        The model's name.
    grid : ByteGrid
        The workloads.
    progress : callable
        Told of every run.
    """
    result = ByteVerification(model, grid)
    bench = Bench(model)
    result.formulas = digest(bench.graphs)
    runs = list(bench.runs(grid))
    total = len(runs) + len(grid.peaks) + 2
    observations: list[Observation] = []
    for done, run in enumerate(runs):
        progress("bytes", done, total)
        observation = run()
        observations.append(observation)
        result.book(observation, bench.shares[observation.key])
        if result.problems:
            return result
    for done, (stage, workload) in enumerate(grid.peaks, len(runs)):
        progress("live activations", done, total)
        result.peaks.append(bench.peak(stage, workload))
    result.problems += [str(peak) for peak in result.peaks if not peak.is_near]
    progress("the real router", total - 2, total)
    result.routing += bench.touched(grid.router)
    result.problems += [str(seen) for seen in result.routing if not seen.holds]
    progress("formulas made wrong on purpose", total - 1, total)
    for name, noticed in mutants(bench.graphs, observations):
        result.mutants += 1
        if not noticed:
            result.survivors.append(name)
    result.problems += [f"a wrong formula went unnoticed: {name}" for name in result.survivors]
    progress("done", total, total)
    return result
