"""The static analyzer: fvcore's counts of the real model by stage, beside the analytic ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from symcost.errors import InputError
from symcost.exact import Evaluator, Number
from symcost.models.deepseek_ocr.vision import PARTS
from symcost.models.deepseek_ocr.workload import Workload
from symcost.stages import Stage
from symcost.symbols import K
from symcost.verify import fvcore_counter
from symcost.verify.blind_spots import Counter, require_declared
from symcost.verify.comparison import Formulas
from symcost.verify.port import Real, filled_cache, images_of, run_decoder, run_vision
from symcost.verify.quantities import Quantity
from symcost.verify.stated import by_module

_TEXT = ("model.language_model", "lm_head")


@dataclass(frozen=True)
class StageCheck:
    """A stage as the formulas state it and as fvcore counts it, in fvcore's convention."""

    stage: str
    analytic: Number
    static: int

    @property
    def difference(self) -> Number:
        """What is predicted beyond what was counted."""
        return self.analytic - self.static


class DeepseekOCRStaticAnalyzer:
    """Counts the real model with fvcore, which traces it without running a workload of its own.

    Counts are fvcore's: 1 for each multiply-accumulate, 5 for each element of a LayerNorm.
    """

    m_stage_module_map = MappingProxyType(
        {
            **{name: paths[:1] for name, paths in PARTS.items()},
            Stage.PREFILL.value: _TEXT,
            Stage.DECODE.value: _TEXT,
        }
    )
    """The modules that make up each stage. Vision is sam, clip and projector together; prefill and
    decode are the decoder and the head."""

    def __init__(self, real: Real | None = None) -> None:
        self._real = Real() if real is None else real
        self._formulas = Formulas()

    def analyze(self, workload: Workload) -> dict[str, int]:
        """The count of each stage on a workload with a page; vision is the sum of its parts."""
        if workload.views is None:
            raise InputError("the static analyzer needs a workload with a page")
        model = self._real.in_memory
        pages = partial(run_vision, model, images_of(model, workload.batch, workload.views))
        counted = {Stage.VISION.value: fvcore_counter.count(model, pages)}
        for stage, tokens, cached in (
            (Stage.PREFILL, workload.context_len, 0),
            (Stage.DECODE, 1, workload.cached),
        ):
            past = filled_cache(self._real.meta, workload.batch, cached)
            run = partial(run_decoder, self._real.meta, workload.batch, tokens, past)
            counted[stage.value] = fvcore_counter.count(self._real.meta, run)
        for count in counted.values():
            require_declared(Counter.FVCORE, count)
        by_stage = {
            stage: sum(counted[_run_of(stage)].of(path) for path in paths)
            for stage, paths in self.m_stage_module_map.items()
        }
        vision = sum(by_stage[part] for part in PARTS)
        return {Stage.VISION.value: vision, **by_stage}

    def cross_check(self, workload: Workload) -> Iterator[StageCheck]:
        """Each stage of the analyzer beside what the formulas state for its modules."""
        static = self.analyze(workload)
        sizes = dict.fromkeys(Stage, workload.bindings)
        sizes[Stage.PREFILL] = workload.bindings | {K: 0}
        for stage, count in static.items():
            ran = Stage(_run_of(stage))
            shares = self._formulas.shares(Quantity.FVCORE, ran, ran is Stage.VISION)
            totals = by_module(shares, Evaluator(sizes[ran]))
            paths = self.m_stage_module_map.get(stage, ("",))
            yield StageCheck(stage, sum(totals.get(path, 0) for path in paths), count)


def _run_of(stage: str) -> str:
    return Stage.VISION.value if stage in PARTS else stage
