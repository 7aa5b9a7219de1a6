"""The layers of the document: general forms, and a model's own sizes in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

from symcost.cost import LABELS, Cost
from symcost.exact import Amount
from symcost.execution import Execution, cost_of
from symcost.formulas import grouped
from symcost.layers.catalogue import GeneralLayer
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig
from symcost.render.document.display import SHOWN, displayed, math
from symcost.symbols import (
    CATALOGUE,
    D,
    E,
    F,
    H,
    M,
    N_h,
    P,
    V,
    c_i,
    c_o,
    k,
    n_0,
)


@dataclass(frozen=True)
class OperatorRow:
    """An operator of a layer in general form."""

    name: str
    operator: str
    macs: str
    vector_flops: str
    reads: str
    writes: str


@dataclass(frozen=True)
class FormulaRow:
    """A formula of a layer, in general and with the model's own sizes in it."""

    name: str
    general: str
    bound: str


@dataclass(frozen=True)
class LayerSection:
    """A layer: in total, in general and in the model's own numbers, and operator by operator."""

    title: str
    shape: str
    headline: Sequence[str]
    rows: Sequence[FormulaRow]
    sizes: str
    operators: Sequence[OperatorRow]


def sizes_of(config: DeepseekOCRConfig) -> dict[str, dict[sp.Symbol, int]]:
    """The model's own sizes by the name of the set."""
    sam, clip, text = config.sam, config.clip, config.decoder
    in_sam = {
        H: sam.hidden,
        N_h: sam.heads,
        M: sam.window,
        F: sam.mlp,
        n_0: sam.image_side // sam.patch,
    }
    in_decoder = {
        H: text.hidden,
        N_h: text.heads,
        D: text.head_size,
        V: text.vocabulary,
        F: text.mlp,
    }
    return {
        "none": {},
        "patches": {H: sam.hidden, c_i: 3, P: sam.patch},
        "sam": in_sam,
        "neck": {c_i: sam.neck, c_o: sam.neck},
        "clip": {H: clip.hidden, N_h: clip.heads, F: clip.mlp},
        "projector": {c_i: sam.downsample[1] + clip.hidden, c_o: text.hidden},
        "decoder": in_decoder,
        "experts": {H: text.hidden, F: text.expert_mlp, E: text.experts, k: text.experts_per_token},
    }


def layer_section(config: DeepseekOCRConfig, layer: GeneralLayer) -> LayerSection:
    """Everything that the document shows of a layer."""
    graph = layer.graph()
    cost = cost_of(graph, Execution.EAGER)
    sizes = {s: v for s, v in sizes_of(config)[layer.sizes].items() if s in cost.free_symbols}
    bound = cost.bind(sizes)
    headline = next(headline for headline in _HEADLINES if headline.of(cost) != 0)
    return LayerSection(
        layer.title,
        layer.shape,
        displayed(headline.label, headline.of(cost), *([headline.of(bound)] if sizes else [])),
        [
            FormulaRow(LABELS[metric], math(cost.figure(metric)), math(bound.figure(metric)))
            for metric in SHOWN[1:]
            if cost.figure(metric) != 0
        ],
        ", ".join(f"${CATALOGUE[s.name].latex} = {grouped(v, '{,}')}$" for s, v in sizes.items()),
        [
            OperatorRow(
                operation.path,
                operation.operator,
                math(operation.macs),
                math(operation.vector_flops),
                math(operation.elements_read),
                math(operation.elements_written),
            )
            for operation in graph.operations
        ],
    )


@dataclass(frozen=True)
class _Headline:
    label: str
    of: Callable[[Cost], Amount]


_HEADLINES = (
    _Headline("MACs", lambda cost: cost.macs),
    _Headline("vector FLOPs", lambda cost: cost.vector_flops),
    _Headline("bytes read", lambda cost: cost.bytes_read),
)
"""What a layer is best known by: the first of these that it has."""
