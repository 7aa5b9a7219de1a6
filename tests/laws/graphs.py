"""The graphs that laws of executions hold on: all layers, and the whole of DeepSeek-OCR."""

from __future__ import annotations

from functools import cache

import sympy as sp
from hypothesis import assume
from hypothesis import strategies as st

from symcost.autodiff import backward
from symcost.cost import Cost
from symcost.execution import Execution, cost_of
from symcost.graph import Graph
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.decoder import decoder, head
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.reference import REFERENCES
from symcost.models.deepseek_ocr.vision import vision
from symcost.symbols import B, I_g, I_t, K, S, U, n_h, n_w
from tests.laws.cases import BF16, Point, graph_of, points, sizes_in, widths
from tests.laws.layer_cases import LAYER_CASES

PUBLISHED = published()
SIZES = frozenset((B, S, K, U, I_g, I_t, n_w, n_h))

MODEL_GRAPHS = {
    f"{part} of {name}": (part, name)
    for name in REFERENCES
    for part in ("vision", "decoder with image", "decoder of text", "head", "head on last token")
}
GRAPHS = [*LAYER_CASES, *MODEL_GRAPHS]


@cache
def graph(name: str, direction: str) -> Graph:
    if name in LAYER_CASES:
        return graph_of(LAYER_CASES[name], direction)
    if direction == "backward":
        return backward(graph(name, "forward"))
    part, reference = MODEL_GRAPHS[name]
    named = REFERENCES[reference]
    if part == "vision":
        return vision(PUBLISHED, named, SYMBOLIC)
    if part.startswith("decoder"):
        return decoder(PUBLISHED.decoder, named, SYMBOLIC if part.endswith("image") else None)
    return head(PUBLISHED.decoder, last_only=part.endswith("token"))


@cache
def cost(name: str, direction: str, execution: Execution) -> Cost:
    return cost_of(graph(name, direction), execution)


@cache
def sizes_of(name: str) -> frozenset[sp.Symbol]:
    """The sizes that a graph or its backward pass depends on."""
    if name in LAYER_CASES:
        return sizes_in(graph(name, "forward")) | sizes_in(graph(name, "backward"))
    return SIZES


def draw_point(data: st.DataObject, name: str, *, wide: bool = True) -> Point:
    """A legal point of a graph, with any byte widths or with two bytes throughout."""
    point = data.draw(points(sizes_of(name)))
    if name in LAYER_CASES:
        assume(LAYER_CASES[name].legal(point))
    return point | (data.draw(widths()) if wide else BF16)
