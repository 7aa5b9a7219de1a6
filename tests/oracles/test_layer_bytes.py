"""Eager traffic of single layers to the byte, and each mistake in what their operators touch.

For two or more sequences, as in `test_bytes.py`, which counts the whole model.
"""

from __future__ import annotations

from functools import cache, partial

import pytest
import torch

from symcost.cost import Direction
from symcost.exact import Evaluator
from symcost.models.deepseek_ocr import decoder, vision
from symcost.symbols import B, Expr, I_g, K, S
from symcost.tensor import same
from symcost.verify.byte_counter import count
from symcost.verify.port import Real
from tests.mistakes import under_each_mistake
from tests.oracles import support
from tests.oracles.layer_cases import CONFIG, REFERENCE, M, n, q
from tests.oracles.support import (
    Case,
    arguments,
    cache_of,
    eager_bytes,
    new_graph,
    stated_graph,
)

MODEL = Real().meta.model
SAM = "vision_tower.sam_encoder.layers"
CLIP = "vision_tower.vision_encoder.encoder.layers"
DECODER = "language_model.layers"

floats = partial(support.floats, dtype=torch.bfloat16)
_TABLE = support.constants(1, S, 128, dtype=torch.bfloat16)


def _sam_layer(number: int, window: int | None) -> Case:
    return Case(
        (floats(B, n, n, 768),),
        lambda g, x: vision.sam_layer(g, CONFIG.sam, REFERENCE, x, window=window),
        MODEL.get_submodule(SAM)[number],
    )


def _run_decoder_layer(x, cosines, sines, cached):
    past = cache_of(cached, len(x), 10, 128, dtype=x.dtype)
    return MODEL.get_submodule(DECODER)[0](
        x, position_embeddings=(cosines, sines), past_key_values=past
    )


LAYERS: dict[str, Case] = {
    f"{SAM}.0": _sam_layer(0, window=M),
    f"{SAM}.2": _sam_layer(2, window=None),
    f"{CLIP}.0": Case(
        (floats(B, q**2 + 1, 1024),),
        lambda g, x: vision.clip_layer(g, CONFIG.clip, x),
        lambda x: MODEL.get_submodule(CLIP)[0](x, None),
    ),
    f"{DECODER}.0": Case(
        (floats(B, S, 1280), _TABLE, _TABLE),
        lambda g, x, cosines, sines, _: decoder.decoder_layer(
            g, CONFIG.decoder, x, cosines, sines, routed=False
        ),
        _run_decoder_layer,
        sizes=(K,),
    ),
}
"""Layers by their path in the real model: windows, global attention, CLIP's and a dense one."""

POINTS = [{B: 2, I_g: 320, S: 5, K: 63}, {B: 3, I_g: 576, S: 7, K: 0}]


@cache
def counted_bytes(path: str, index: int) -> dict[Direction, int]:
    """What the module at a path moves, at the point of that number."""
    case = LAYERS[path]
    given = arguments(case, POINTS[index])
    moved = count(MODEL, lambda: case.run(*given))
    return {Direction.READ: moved.read.of(path), Direction.WRITTEN: moved.written.of(path)}


def differences(stated: dict[Direction, Expr], path: str) -> dict[tuple[int, Direction], int]:
    """What is stated beyond what was counted, by the number of the point."""
    off = {
        (index, way): Evaluator(point)(amount) - counted_bytes(path, index)[way]
        for index, point in enumerate(POINTS)
        for way, amount in stated.items()
    }
    return {where: by for where, by in off.items() if by}


def layer_bytes(path: str) -> dict[Direction, Expr]:
    return eager_bytes(new_graph(LAYERS[path])[0])


@pytest.mark.parametrize("path", LAYERS)
def test_a_layer_moves_what_is_stated(path):
    assert differences(layer_bytes(path), path) == {}


@pytest.mark.parametrize(
    ("operator", "path"),
    [
        (operator, path)
        for path, case in LAYERS.items()
        for operator in dict.fromkeys(op.operator for op in stated_graph(case)[0].operations)
    ],
)
def test_each_mistake_in_what_an_operator_touches_is_noticed_in_a_layer(operator, path):
    """But for those that leave the sums of the layer as they are."""
    right = layer_bytes(path)
    for mistake, wrong in under_each_mistake(operator, lambda: layer_bytes(path)):
        if not all(same(wrong[way], right[way]) for way in right):
            assert differences(wrong, path), mistake
