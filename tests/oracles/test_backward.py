"""The backward pass against torch's own: multiply-accumulates of autodiff's graphs."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from transformers import UnlimitedOcrConfig

from symcost.autodiff import backward
from symcost.graph import Graph
from symcost.models.deepseek_ocr import decoder, vision
from symcost.models.deepseek_ocr.config import from_dict
from symcost.models.deepseek_ocr.geometry import Views
from symcost.symbols import B, I_g, I_t, K, S, n_h, n_w
from symcost.verify.port import FULL_ATTENTION
from tests.oracles.layer_cases import BLOCK_CASES, LAYER_CASES, REFERENCE, points_of
from tests.oracles.support import (
    backward_flops,
    cache_of,
    count_of,
    counted_backward,
    evaluated,
    port,
    stated_backward,
)

CASES = LAYER_CASES | BLOCK_CASES
IMAGE_TOKEN = 499


def small() -> UnlimitedOcrConfig:
    """A few narrow layers of each kind, run by the same code as the published ones."""
    sam = {
        "hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "image_size": 256,
        "window_size": 5,
        "global_attn_indexes": [1],
        "mlp_dim": 88,
        "output_channels": 40,
        "downsample_channels": [56, 64],
    }
    clip = {
        "hidden_size": 64,
        "intermediate_size": 104,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 56,
    }
    text = {
        "vocab_size": 500,
        "hidden_size": 80,
        "intermediate_size": 112,
        "num_hidden_layers": 3,
        "num_attention_heads": 5,
        "num_key_value_heads": 5,
        "n_routed_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 24,
    }
    return UnlimitedOcrConfig(
        vision_config={"sam_config": sam, "encoder_config": clip},
        text_config=text,
        image_token_id=IMAGE_TOKEN,
    )


CONFIG = from_dict(small().to_dict())
PORT = port(small())
ON_CPU = port(small(), device="cpu")
HEADS, HEAD_SIZE = CONFIG.decoder.heads, CONFIG.decoder.head_size

VISION = vision.vision(CONFIG, REFERENCE, Views())
TEXT = decoder.decoder(CONFIG.decoder, REFERENCE, None)
TEXT_WITH_IMAGE = decoder.decoder(CONFIG.decoder, REFERENCE, Views())
HEAD = decoder.head(CONFIG.decoder, last_only=False)
LAST = decoder.head(CONFIG.decoder, last_only=True)

TOKENS = [
    {B: 1, S: 1, K: 63},
    {B: 3, S: 7, K: 0},
    {B: 3, S: 33, K: 1},
    {B: 1, S: 129, K: 400},
]
GRIDS = [
    {B: 1, I_g: 256, I_t: 192, n_w: 2, n_h: 3},
    {B: 3, I_g: 320, I_t: 64, n_w: 0, n_h: 0},
    {B: 2, I_g: 512, I_t: 256, n_w: 1, n_h: 2},
    {B: 3, I_g: 1280, I_t: 640, n_w: 3, n_h: 3},
]

at_every_length = pytest.mark.parametrize("point", TOKENS)


@cache
def gradients_of(graph: Graph) -> Graph:
    return backward(graph)


def forward_and_backward(graph: Graph, point) -> tuple[int, int]:
    """The matrix FLOPs that symcost states for both passes."""
    return tuple(
        evaluated(either, (), point).matrix_flops for either in (graph, gradients_of(graph))
    )


def real_forward_and_backward(run) -> tuple[int, int]:
    """The matrix FLOPs that torch counts in both passes."""
    results = []

    def keep():
        results.extend(run())
        return tuple(results)

    return count_of(keep).matrix_flops, backward_flops(tuple(results))


@pytest.mark.parametrize(
    ("name", "point"),
    [
        pytest.param(name, point, id=f"{name}-{i}")
        for name, case in CASES.items()
        if case.gradient
        for i, point in enumerate(points_of(case)[::3])
    ],
)
def test_layers_of_real_size(name, point):
    case = CASES[name]
    assert stated_backward(case, point).matrix_flops == counted_backward(case, point).matrix_flops


@pytest.mark.parametrize("point", GRIDS)
def test_vision(point):
    """The weights get gradients, the pixels do not."""
    crops = point[n_w] * point[n_h]
    views = [torch.empty(point[B], 3, point[I_g], point[I_g], device="meta")]
    if crops:
        views.append(torch.empty(point[B] * crops, 3, point[I_t], point[I_t], device="meta"))

    def run():
        for pixels in views:
            tower = PORT.model.vision_tower(pixels).last_hidden_state
            yield PORT.model.multi_modal_projector(tower)

    assert forward_and_backward(VISION, point) == real_forward_and_backward(run)


@at_every_length
def test_decoder(point):
    ids = torch.zeros(point[B], point[S], dtype=torch.long, device="meta")
    past = cache_of(point[K], point[B], HEADS, HEAD_SIZE, layers=CONFIG.decoder.layers)

    def run():
        yield PORT.model.language_model(ids, FULL_ATTENTION, past_key_values=past).last_hidden_state

    assert forward_and_backward(TEXT, point) == real_forward_and_backward(run)


@at_every_length
@pytest.mark.parametrize(("graph", "kept"), [(HEAD, slice(None)), (LAST, slice(-1, None))])
def test_head(graph, kept, point):
    hidden = torch.empty(
        point[B], point[S], CONFIG.decoder.hidden, device="meta", requires_grad=True
    )
    assert forward_and_backward(graph, point) == real_forward_and_backward(
        lambda: (PORT.lm_head(hidden[:, kept]),)
    )


@pytest.mark.parametrize(
    "point",
    [
        {B: 1, S: 19, K: 0, I_g: 128, I_t: 64, n_w: 2, n_h: 1},
        {B: 2, S: 10, K: 0, I_g: 128, I_t: 64, n_w: 0, n_h: 0},
        {B: 2, S: 50, K: 0, I_g: 64, I_t: 128, n_w: 1, n_h: 3},
    ],
)
def test_the_whole_model_on_real_numbers(point):
    """Pages, prompt and logits in one run on the CPU, with the features in their places."""
    batch, columns, rows = point[B], point[n_w], point[n_h]
    crops = columns * rows
    image_tokens = int(Views(point[I_g], point[I_t], columns, rows).image_tokens)
    ids = torch.zeros(batch, point[S], dtype=torch.long)
    ids[:, 1 : 1 + image_tokens] = IMAGE_TOKEN

    def run():
        return (
            ON_CPU(
                ids,
                torch.zeros(batch, 3, point[I_g], point[I_g]),
                torch.zeros(batch * crops, 3, point[I_t], point[I_t]) if crops else None,
                [crops] * batch,
                [[columns, rows]] * batch,
                attention_mask=FULL_ATTENTION,
            ).logits,
        )

    stages = [forward_and_backward(graph, point) for graph in (VISION, TEXT_WITH_IMAGE, HEAD)]
    forward, back = (sum(passes) for passes in zip(*stages, strict=True))
    assert (forward, back) == real_forward_and_backward(run)
