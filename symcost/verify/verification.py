"""The verification of a model: all runs, what they showed, and what the comparison is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, TypeVar

from symcost.errors import SymcostError
from symcost.exact import Number
from symcost.figures import exact
from symcost.models.deepseek_ocr.vision import PARTS
from symcost.models.deepseek_ocr.workload import Workload
from symcost.stages import Stage
from symcost.verify import SUPPORTED, Progress, versions
from symcost.verify.blind_spots import BLIND_SPOTS, LIMITS
from symcost.verify.comparison import (
    COUNTERS,
    Difference,
    Formulas,
    Observation,
    differences,
    digits,
    disagreeing,
    silent,
)
from symcost.verify.grid import FULL, Grid
from symcost.verify.mutants import Sensitivity, sensitivity
from symcost.verify.port import Real
from symcost.verify.quantities import Quantity
from symcost.verify.runs import ATTENTION, steps
from symcost.verify.stated import REFERENCE, by_module, digest
from symcost.verify.static import DeepseekOCRStaticAnalyzer
from symcost.verify.targets import Target

_HELD = (Quantity.PARAMETERS, Quantity.WEIGHT_BYTES)
"""Quantities that are compared at every parameter as well."""

_VISION = {name: paths[0] for name, paths in PARTS.items()}
_TEXT = {"decoder": "model.language_model", "lm_head": "lm_head"}
_SHOWN: dict[Stage, dict[str, tuple[str, ...]]] = {
    Stage.VISION: {name: (path,) for name, path in _VISION.items()},
    Stage.PREFILL: {
        "vision": tuple(_VISION.values()),
        **{name: (path,) for name, path in _TEXT.items()},
    },
    Stage.DECODE: {name: (path,) for name, path in _TEXT.items()},
}
"""The modules of each part of a stage."""


@dataclass
class Row:
    """All comparisons of a quantity for one part of a stage."""

    quantity: Quantity
    stage: str
    part: str
    runs: int = 0
    predicted: Number = 0
    counted: int = 0

    @property
    def counter(self) -> str:
        """Who counted."""
        counter = COUNTERS.get(self.quantity)
        return "real tensors" if counter is None else counter.value

    @property
    def difference(self) -> Number:
        """What is predicted beyond what was counted."""
        return self.predicted - self.counted


@dataclass
class Verification:
    """What was compared, and how it came out."""

    model: str
    grid: Grid
    targets: tuple[Target, ...]
    formulas: str = ""
    modules: set[str] = field(default_factory=set)
    comparisons: int = 0
    of_work: int = 0
    worst_difference: Number = 0
    rows: dict[tuple[Quantity, str, str], Row] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    sensitivity: Sensitivity | None = None

    @property
    def problems(self) -> list[str]:
        """Everything that makes the verification fail, a line each."""
        survivors = self.sensitivity.survivors if self.sensitivity else ()
        unnoticed = [f"a wrong formula went unnoticed: {name}" for name in survivors]
        return [*map(str, self.differences), *self.gaps, *unnoticed]

    def as_dict(self) -> dict[str, Any]:
        """The verification as JSON shows it."""
        mutants = self.sensitivity
        return {
            "model": self.model,
            "reference": REFERENCE,
            "versions": versions("torch", "transformers", "fvcore", "sympy"),
            "targets": [target.value for target in self.targets],
            "module_paths": len(self.modules),
            "formulas": self.formulas,
            "comparisons": self.comparisons,
            "comparisons_not_zero": self.of_work,
            "worst_difference": exact(self.worst_difference),
            "problems": self.problems,
            "rows": [
                {
                    "quantity": row.quantity.value,
                    "counter": row.counter,
                    "stage": row.stage,
                    "part": row.part,
                    "runs": row.runs,
                    "predicted": exact(row.predicted),
                    "counted": row.counted,
                    "difference": exact(row.difference),
                }
                for row in self.rows.values()
            ],
            "mutants": None
            if mutants is None
            else {
                "made": mutants.mutants,
                "refused": mutants.refused,
                "survivors": list(mutants.survivors),
            },
            "blind_spots": [
                {
                    "counter": spot.counter.value,
                    "reason": spot.reason,
                    "operators": list(spot.operators),
                }
                for spot in BLIND_SPOTS
            ],
            "limits": list(LIMITS),
            "grid": self.grid.as_dict(),
        }

    def book(self, key: tuple[Quantity, str, str], predicted: Number, counted: int) -> None:
        """Book what a run showed of a part of a stage."""
        row = self.rows.setdefault(key, Row(*key))
        row.runs += 1
        row.predicted += predicted
        row.counted += counted

    def add(self, observation: Observation, totals: dict[str, Number]) -> None:
        """Book an observation under the parts that it shows."""
        if observation.quantity not in _HELD:
            self.modules.update(observation.modules)
        self.comparisons += len(observation.modules)
        self.of_work += sum(observation.count.of(path) != 0 for path in observation.modules)
        for stage, part, paths in _parts(observation):
            self.book(
                (observation.quantity, stage, part),
                sum(totals.get(path, 0) for path in paths),
                sum(observation.count.of(path) for path in paths),
            )


def _parts(observation: Observation) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if observation.within == ATTENTION:
        yield observation.stage, "attention block", (ATTENTION,)
        return
    if observation.quantity in (Quantity.CACHE_BYTES, Quantity.IMAGE_TOKENS):
        yield observation.stage, "", ("",)
        return
    held = observation.quantity in _HELD
    stage = "model" if held else observation.stage.value
    yield stage, "", (observation.within,)
    parts = _SHOWN[observation.stage]
    for name, paths in parts.items():
        if observation.workload.views is not None or name != "vision" or held:
            yield stage, name, paths


def verify(
    model: str = "deepseek-ocr",
    *,
    targets: tuple[Target, ...] = tuple(Target),
    grid: Grid = FULL,
    progress: Progress = lambda *_: None,
) -> Verification:
    """Compare what is stated with what the real model counts, up to the first difference.

    Parameters
    ----------
    model : str
        The model's name.
    targets : tuple of Target
        What to verify.
    grid : Grid
        The workloads.
    progress : callable
        Told of every run.
    """
    result = Verification(model, grid, targets)
    formulas = Formulas(model)
    result.formulas = digest({has_page: formulas.stated(has_page) for has_page in (True, False)})
    real = Real()
    observations: list[Observation] = []
    runs = steps(real, grid, targets)
    workloads = grid.static if Target.CORE in targets else ()
    total = len(runs) + len(workloads) + 1
    for done, step in enumerate(runs):
        progress(step.target, done, total)
        for observation in _seen(result, step.run):
            judge(result, formulas, observation)
            observations.append(observation)
        if result.problems:
            return result
    for done, workload in enumerate(workloads, len(runs)):
        progress("static analyzer", done, total)
        _cross_check(result, real, workload)
    if result.problems:
        return result
    progress("formulas made wrong on purpose", total - 1, total)
    if any(not observation.within for observation in observations):
        result.sensitivity = sensitivity(formulas, observations)
    progress("done", total, total)
    return result


T = TypeVar("T")


def _seen(result: Verification, run: Callable[[], Iterator[T]]) -> list[T]:
    """What a run of the real code shows; where that raises, nothing but the problem."""
    try:
        return list(run())
    except SymcostError:
        raise
    except Exception as error:
        present = version("transformers")
        other = "" if present == SUPPORTED else f"; the formulas are of that of {SUPPORTED}"
        result.gaps.append(
            f"the real model of transformers {present} raised {type(error).__name__}: "
            f"{' '.join(str(error).split())}{other}"
        )
        return []


def _cross_check(result: Verification, real: Real, workload: Workload) -> None:
    analyzer = DeepseekOCRStaticAnalyzer(real)
    for check in _seen(result, lambda: analyzer.cross_check(workload)):
        result.book((Quantity.STATIC, check.stage, ""), check.analytic, check.static)
        result.comparisons += 1
        if check.difference:
            result.gaps.append(
                f"static analyzer, {check.stage}: predicted {digits(check.analytic)}, counted "
                f"{digits(check.static)}, difference {digits(check.difference)}"
            )


def judge(result: Verification, formulas: Formulas, observation: Observation) -> None:
    """Compare an observation at every module, and note gaps of the counter."""
    shares = formulas.shares(*observation.key)
    totals = by_module(shares, observation.evaluator)
    result.add(observation, totals)
    result.gaps += silent(observation)
    wrong = disagreeing(observation, totals)
    if wrong:
        off = (totals.get(path, 0) - observation.count.of(path) for path in wrong)
        result.worst_difference = max(result.worst_difference, *map(abs, off))
        operators = formulas.stated(observation.workload.views is not None)[observation.stage]
        result.differences += differences(observation, shares, operators.operators)
