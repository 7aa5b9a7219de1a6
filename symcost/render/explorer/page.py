"""The explorer: one file of HTML that needs nothing else."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from symcost.errors import DomainError
from symcost.exact import as_rational
from symcost.execution import Execution
from symcost.insight.devices import DEFAULT_TYPE, Device, known_devices
from symcost.models.deepseek_ocr.geometry import MAX_TILES, MIN_TILES, MODES, STEP, TILE_SIZE
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.workload import DEFAULT_PAGE, DEFAULT_PROMPT_TOKENS
from symcost.render.explorer.formulas import (
    WIDTH_OF_EXPERTS,
    Formulas,
    mathml,
    symbol,
    tree,
    worded,
)
from symcost.render.explorer.halves import (
    OF_EXPERTS,
    Module,
    built,
    modules,
    share_of_experts,
)
from symcost.render.templating import environment, text_of
from symcost.stages import SyntheticKVCache
from symcost.symbols import CATALOGUE, B, K, S
from symcost.version import __version__

_SCRIPTS = ("explorer_geometry.mjs", "explorer_numbers.mjs", "explorer.mjs")
_EXECUTIONS = {
    Execution.EAGER: "eager, as the reference",
    Execution.FUSED: "fused, as engines run it",
    Execution.IDEAL: "ideal, compulsory traffic",
}
_ROUTINGS = {
    Assumption.EXPECTED: "expected, at random",
    Assumption.MOST: "most, all different",
    Assumption.LEAST: "least, all the same",
}


def explorer_page(model: str) -> str:
    """The page as HTML; the same text whenever it is called.

    Raises
    ------
    InputError
        The model is unknown.
    DomainError
        A formula cannot be exported or shown.
    """
    exported = modules(model)
    templates = environment(html=True)
    page = templates.get_template("explorer.html.j2")
    return page.render(
        model=model,
        version=__version__,
        modules={name: _embedded(module.code) for name, module in exported.items()},
        data=_embedded(json.dumps(_data(model, exported), ensure_ascii=False)),
        style=text_of("explorer.css"),
        script=_embedded("".join(text_of(name) for name in _SCRIPTS)),
        modes=MODES,
        executions={str(name): told for name, told in _EXECUTIONS.items()},
        routings={str(name): told for name, told in _ROUTINGS.items()},
        devices=list(known_devices()),
        number_type=DEFAULT_TYPE,
    )


def _embedded(text: str) -> str:
    """Text of JavaScript or JSON that ends no element of HTML."""
    return text.replace("</", "<\\/")


def _data(model: str, exported: dict[str, Module]) -> dict[str, Any]:
    formulas = Formulas()
    shown: dict[str, dict[str, int]] = {}
    for name, module in exported.items():
        if ".experts." not in name:
            shown[name] = {
                figure: formulas.add(formula) for figure, formula in module.figures.items()
            }
    for execution in Execution:
        shown[f"{execution}.experts"] = {
            figure: formulas.add(formula, of_experts=True)
            for figure, formula in share_of_experts(model, execution, Routing.SYMBOLIC).items()
        }
    return {
        "model": model,
        "products": formulas.products,
        "formulas": formulas.formulas,
        "shown": shown,
        "ofExperts": OF_EXPERTS,
        "touched": _touched(model),
        "sizes": _sizes(),
        "modes": {name: [mode.base_size, mode.crops] for name, mode in MODES.items()},
        "tiles": {"size": TILE_SIZE, "step": STEP, "least": MIN_TILES, "most": MAX_TILES},
        "page": DEFAULT_PAGE,
        "promptTokens": DEFAULT_PROMPT_TOKENS,
        "type": DEFAULT_TYPE,
        "devices": {name: _device(device) for name, device in known_devices().items()},
    }


def _touched(model: str) -> dict[str, dict[str, Any]]:
    """The distinct experts that a layer reads, by routing and stage."""
    found: dict[str, dict[str, Any]] = {}
    for routing in Assumption:
        of = built(model, routing=Routing(routing, routing))
        of.start_prefill(S, B)
        counts = {"prefill": as_rational(of.touched_experts)}
        of.start_decode(SyntheticKVCache(B, K))
        counts["decode"] = as_rational(of.touched_experts)
        found[str(routing)] = {
            stage: {"mathml": mathml(count, {}), "tree": tree(count, {})}
            for stage, count in counts.items()
        }
    return found


def _sizes() -> dict[str, dict[str, str]]:
    told = {name: info.meaning for name, info in CATALOGUE.items()}
    told[WIDTH_OF_EXPERTS] = "bytes per weight of a routed expert"
    return {name: {"mathml": symbol(name), "meaning": worded(of)} for name, of in told.items()}


def _device(device: Device) -> dict[str, int | None]:
    return {
        "matrix": _whole(device.peak()),
        "vector": None if device.vector is None else _whole(device.vector),
        "memory": _whole(device.memory_bandwidth),
        "capacity": _whole(device.memory),
    }


def _whole(value: Fraction) -> int:
    if value.denominator != 1 or value >= 2**53:
        raise DomainError(f"{value} is no whole number that JavaScript holds exactly")
    return int(value)
