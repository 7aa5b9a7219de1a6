"""From the real model to the proof of all formulas."""

from __future__ import annotations

from symcost.trace.cases import Progress, trace_all
from symcost.trace.certificates import Proof
from symcost.trace.judging import judge
from symcost.trace.statements import Formulas, stated_formulas


def prove(stated: Formulas | None = None, progress: Progress = lambda *_: None) -> Proof:
    """Trace the real model and prove by it what the formulas state, for all sizes.

    Parameters
    ----------
    stated : mapping, optional
        The formulas by stage and module; the present ones unless given.
    progress : callable
        Told of every trace.
    """
    return judge(stated_formulas() if stated is None else stated, trace_all(progress))
