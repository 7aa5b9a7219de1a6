"""Every layer, block and stage against the port's real modules: multiply-accumulates and shapes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest
import torch

import symcost.layers
from symcost.graph import Graph
from symcost.models.deepseek_ocr import decoder, vision
from symcost.models.deepseek_ocr.geometry import Views
from symcost.models.deepseek_ocr.reference import REFERENCES
from symcost.symbols import B, I_g, I_t, K, S, n_h, n_w
from symcost.verify.port import FULL_ATTENTION
from tests.oracles.layer_cases import (
    BLOCK_CASES,
    CONFIG,
    GRIDS,
    LANGUAGE,
    LAYER_CASES,
    PORT,
    REFERENCE,
    TOKENS,
    points_of,
)
from tests.oracles.support import cache_of, count_of, counted, evaluated, stated

CASES = LAYER_CASES | BLOCK_CASES
VISION = vision.vision(CONFIG, REFERENCE, Views())
TEXT = decoder.decoder(CONFIG.decoder, REFERENCE, None)
TEXT_WITH_IMAGE = decoder.decoder(CONFIG.decoder, REFERENCE, Views())
HEADS = {last: decoder.head(CONFIG.decoder, last_only=last) for last in (False, True)}


def point_text(point) -> str:
    return "-".join(f"{symbol}={value}" for symbol, value in point.items())


def functions_of(module: ModuleType) -> set[str]:
    """The public functions that a module defines, by module and name."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("name", "point"),
    [
        pytest.param(name, point, id=f"{name}-{point_text(point)}")
        for name, case in CASES.items()
        for point in points_of(case)
    ],
)
def test_layer(name, point):
    case = CASES[name]
    assert stated(case, point) == counted(case, point)


def test_every_layer_has_a_case():
    modules = [
        importlib.import_module(f"symcost.layers.{info.name}")
        for info in pkgutil.iter_modules(symcost.layers.__path__)
    ]
    layers = set().union(*map(functions_of, modules))
    assert {name.partition(":")[0] for name in LAYER_CASES} == layers


def test_every_block_has_a_case():
    stages = {"vision.vision", "decoder.decoder", "decoder.head"}
    blocks = functions_of(vision) | functions_of(decoder)
    assert {name.partition(":")[0] for name in BLOCK_CASES} | stages == blocks


@pytest.mark.parametrize("point", GRIDS, ids=point_text)
def test_vision(point):
    """The stage ends with features by view; the port goes on and makes one sequence of them."""
    pages, columns, rows = point[B], point[n_w], point[n_h]
    crops = columns * rows
    whole = torch.empty(pages, 3, point[I_g], point[I_g], device="meta")
    tiles = torch.empty(pages * crops, 3, point[I_t], point[I_t], device="meta")

    def run():
        features = PORT.model.get_image_features(
            whole, tiles if crops else None, [crops] * pages, [[columns, rows]] * pages
        )
        return tuple(features.pooler_output)

    real = count_of(run)
    count = evaluated(VISION, VISION.outputs, point)
    assert count.matrix_flops == real.matrix_flops
    assert count.shapes == (
        (pages, (point[I_g] // 64) ** 2, 1280),
        (pages * crops, (point[I_t] // 64) ** 2, 1280),
    )
    image_tokens = int(Views(point[I_g], point[I_t], columns, rows).image_tokens)
    assert real.shapes == ((image_tokens, 1280),) * pages


@pytest.mark.parametrize("point", TOKENS, ids=point_text)
def test_decoder(point):
    ids = torch.zeros(point[B], point[S], dtype=torch.long, device="meta")
    past = cache_of(point[K], point[B], 10, 128, layers=12)
    hidden = TEXT.outputs[-1]
    assert evaluated(TEXT, [hidden], point) == count_of(
        lambda: LANGUAGE(ids, FULL_ATTENTION, past_key_values=past).last_hidden_state
    )
    keys = past.layers[0].keys.shape
    assert tuple(keys) == (point[B], 10, point[K] + point[S], 128)


@pytest.mark.parametrize("point", TOKENS, ids=point_text)
@pytest.mark.parametrize("last_only", [False, True])
def test_decoder_with_head(last_only, point):
    """The decoder with an image taken in and the head, against the port's language model."""
    ids = torch.zeros(point[B], point[S], dtype=torch.long, device="meta")
    past = cache_of(point[K], point[B], 10, 128, layers=12)
    point = point | {I_g: 1024, I_t: 640, n_w: 2, n_h: 3}
    real = count_of(
        lambda: (
            PORT(
                ids,
                attention_mask=FULL_ATTENTION,
                past_key_values=past,
                logits_to_keep=1 if last_only else 0,
            ).logits
        )
    )
    before = evaluated(TEXT_WITH_IMAGE, (), point).matrix_flops
    logits = evaluated(HEADS[last_only], HEADS[last_only].outputs, point)
    assert before + logits.matrix_flops == real.matrix_flops
    assert logits.shapes == real.shapes


@pytest.mark.parametrize(
    ("part", "side", "flops"),
    [
        ("sam", 1024, 976_909_172_736),
        ("sam", 640, 325_620_793_344),
        ("clip", 1024, 161_715_683_328),
        ("projector", 1024, 1_342_177_280),
    ],
)
def test_vision_of_the_vendors_code(part, side, flops):
    """Counted on the published model's own code, which is not on PyPI, at batch 1 without crops."""
    graph = vision.vision(CONFIG, REFERENCES["vendor"], Views(columns=0, rows=0))
    paths = vision.PARTS[part]
    inside = Graph([op for op in graph.operations if op.path.startswith(paths)])
    assert evaluated(inside, (), {B: 1, I_g: side}).matrix_flops == flops


@pytest.mark.parametrize(
    ("tokens", "cached", "flops"), [(64, 0, 73_735_962_624), (1, 64, 1_152_185_856)]
)
def test_decoder_of_the_vendors_code(tokens, cached, flops):
    """Counted on the published model's own code, with the head on all tokens."""
    body = decoder.decoder(CONFIG.decoder, REFERENCES["vendor"], None)
    point = {B: 1, S: tokens, K: cached}
    assert flops == sum(evaluated(graph, (), point).matrix_flops for graph in (body, HEADS[False]))
