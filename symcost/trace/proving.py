"""From the real model to the proof of all formulas."""

from __future__ import annotations

from dataclasses import replace

from symcost.trace.cases import trace_all
from symcost.trace.certificates import Proof
from symcost.trace.judging import judge
from symcost.trace.statements import stated_formulas
from symcost.verify import Progress


def prove(model: str = "deepseek-ocr", progress: Progress = lambda *_: None) -> Proof:
    """Trace the real model and prove by it what the formulas state, for all sizes.

    Parameters
    ----------
    model : str
        The model's name.
    progress : callable
        Told of every trace.
    """
    formulas = stated_formulas(model)
    return replace(judge(formulas, trace_all(progress)), model=model)
