"""The code that the explorer runs: exported figures in half bytes, in a few modules.

Exported JavaScript takes whole widths only, and 4-bit weights take half a byte. So every width and
every figure of bytes is in half bytes here, and the page halves what it shows, exactly. The weights
of routed experts may have a width of their own, and routing changes nothing but the traffic of
experts; so both stand in modules of their own, and the page adds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import sympy as sp

from symcost.cost import Cost, Entry, StageCost, Storage, Traffic, Unit
from symcost.errors import DomainError
from symcost.exact import as_rational
from symcost.execution import Execution
from symcost.export.files import FIGURES, STAGES
from symcost.export.javascript_code import export_javascript
from symcost.export.targets import About
from symcost.figures import formula_of, unit_of
from symcost.models import load
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import symbolic_costs
from symcost.symbols import ZERO, Expr, U, w_a, w_kv, w_w
from symcost.tensor import Kind

HEADS = ("all", "last")
SEEN = {"image": SYMBOLIC, "text": None}
"""What prompts hold, and the views of it."""

_PROMPTS = {"image": "an image and text", "text": "text alone"}

OF_EXPERTS = ("bytes_read", "bytes_written", "bytes_moved", "weight_bytes")
"""Those that routing and the width of the experts' weights change, besides sums that hold them."""

_EXPERTS = ".mlp.experts"
_HALVES = {width: width / 2 for width in (w_w, w_a, w_kv)}


@dataclass(frozen=True)
class Module:
    """Figures, and the ES module that computes them in half bytes.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By STAGE[.PART].METRIC, in bytes.
    about : About
        What the module says of itself.
    """

    figures: Mapping[str, Expr]
    about: About

    @cached_property
    def code(self) -> str:
        """The module."""
        in_halves = {name: _in_half_bytes(name, figure) for name, figure in self.figures.items()}
        return export_javascript(in_halves, self.about)


def _in_half_bytes(name: str, formula: Expr) -> Expr:
    """A figure of bytes and all widths in it counted in half bytes."""
    if unit_of(name) is Unit.FLOPS:
        return formula

    def halves(part: Expr) -> Expr:
        if isinstance(part, sp.Max):
            return sp.Max(*map(halves, part.args), evaluate=False)
        return 2 * part.xreplace(_HALVES)

    return sp.Add(*map(halves, sp.Add.make_args(formula)))


def modules(model: str) -> dict[str, Module]:
    """All modules by name.

    `EXECUTION` has the stages vision and decode; `EXECUTION.HEAD.image` and `EXECUTION.HEAD.text`
    have prefill. They are without the share of routed experts, which of prefill and decode is in
    `EXECUTION.experts.ROUTING`.

    Raises
    ------
    DomainError
        Steps need weights that the prefill before them does not hold, or routing changes more than
        the traffic of experts.
    """
    found: dict[str, Module] = {}
    for execution in Execution:
        told = {"execution": str(execution)}
        rest = {"without": "weights and traffic of routed experts"}
        for head in HEADS:
            for seen in SEEN:
                costs = symbolic_costs(built(model, execution, head, seen))
                _require_weights_of_prefill(costs)
                costs = {name: _without_experts(cost) for name, cost in costs.items()}
                if str(execution) not in found:
                    figures = _figures(costs, "vision") | _figures(costs, "decode")
                    found[str(execution)] = _module(model, figures, told | rest)
                case = {"head on": f"{head} tokens", "prompts of": _PROMPTS[seen]}
                figures = _figures(costs, "prefill")
                found[f"{execution}.{head}.{seen}"] = _module(model, figures, told | rest | case)
        for routing in Assumption:
            found[f"{execution}.experts.{routing}"] = module_of_experts(model, execution, routing)
    return found


def module_of_experts(model: str, execution: Execution, routing: Assumption) -> Module:
    """The module of the share of routed experts."""
    told = {
        "execution": str(execution),
        "experts": str(routing),
        "of": "weights and traffic of routed experts only",
    }
    figures = share_of_experts(model, execution, Routing(routing, routing))
    return _module(model, figures, told)


def share_of_experts(model: str, execution: Execution, routing: Routing) -> dict[str, Expr]:
    """What of prefill and decode are the weights and the traffic of routed experts."""
    costs = symbolic_costs(built(model, execution, "all", "text", routing))
    shares = {
        stage: Cost(tuple(filter(_is_of_experts, costs[stage].entries)))
        for stage in ("prefill", "decode")
    }
    figures: dict[str, Expr] = {}
    for stage in shares:
        figures |= _totals(shares, stage, OF_EXPERTS)
    return figures


def built(
    model: str,
    execution: Execution = Execution.IDEAL,
    head: str = "last",
    seen: str = "text",
    routing: Routing = Routing.SYMBOLIC,
) -> DeepseekOCRModel:
    """The model of a case."""
    return load(
        model,
        views=SEEN[seen],
        execution=execution,
        lm_head=head,
        widths=Widths.SYMBOLIC,
        routing=routing,
    )


def _require_weights_of_prefill(costs: Mapping[str, Cost]) -> None:
    """The page takes the weights of a prefill for those of a whole answer."""
    whole, first = (as_rational(costs[name].weight_bytes) for name in ("generation", "prefill"))
    if sp.expand(whole - first) != 0:
        raise DomainError("steps need weights that the prefill before them does not hold")


def _is_of_experts(entry: Entry) -> bool:
    kept = isinstance(entry.resource, Traffic) or entry.resource == Storage(Kind.WEIGHT)
    return kept and _EXPERTS in entry.path


def _without_experts(cost: StageCost) -> StageCost:
    rest = cost.each(lambda e: replace(e, amount=ZERO) if _is_of_experts(e) else e)
    if U in rest.free_symbols:
        raise DomainError("routing changes more than the traffic of experts")
    return rest


def _figures(costs: Mapping[str, Cost], stage: str) -> dict[str, Expr]:
    """The figures of a stage and of its parts; vision is a stage of its own."""
    found = _totals(costs, stage, FIGURES)
    for part in costs[stage].parts:
        if part != "vision":
            found |= _totals(costs, f"{stage}.{part}", FIGURES)
    return found


def _totals(costs: Mapping[str, Cost], place: str, metrics: Iterable[str]) -> dict[str, Expr]:
    return {f"{place}.{metric}": formula_of(costs, f"{place}.{metric}") for metric in metrics}


def _module(model: str, figures: Mapping[str, Expr], assumed: Mapping[str, str]) -> Module:
    assumptions = {"reference": "vendor", **assumed, "widths and bytes": "in half bytes"}
    return Module(figures, About(model, assumptions, STAGES))
