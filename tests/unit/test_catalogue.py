"""Layers in general form, with the model's sizes in them, are the layers of the model."""

from __future__ import annotations

import pytest

from symcost.cost import Cost
from symcost.execution import Execution, cost_of
from symcost.layers.catalogue import GENERAL_LAYERS
from symcost.models import load
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.render.document.layers import sizes_of
from symcost.symbols import B, I_g, I_t, K, N, S, U, X, n, n_h, n_w, w_a, w_kv, w_w

SAM = "model.vision_tower.sam_encoder"
CLIP = "model.vision_tower.vision_encoder"
TEXT = "model.language_model"
WINDOWED = f"{SAM}.layers.0-1,3-4,6-7,9-10"
GLOBAL = f"{SAM}.layers.2,5,8,11"
MOE = f"{TEXT}.layers.1-11"

# The layer, the module paths that it stands for, and how many times it is there.
PLACES = [
    ("Patch embedding", [f"{SAM}.patch_embed"], 1),
    ("LayerNorm", [f"{GLOBAL}.layer_norm2"], 4),
    (
        "SAM attention in windows",
        [f"{WINDOWED}.window_partition", f"{WINDOWED}.attn", f"{WINDOWED}.window_unpartition"],
        8,
    ),
    ("SAM global attention", [f"{GLOBAL}.attn"], 4),
    ("SAM MLP (GELU)", [f"{WINDOWED}.mlp"], 8),
    ("Convolution of the neck, 3 × 3", [f"{SAM}.neck.conv2"], 1),
    ("CLIP attention", [f"{CLIP}.encoder.layers.0-23.self_attn"], 24),
    ("CLIP MLP (QuickGELU)", [f"{CLIP}.encoder.layers.0-23.mlp"], 24),
    ("Token embedding", [f"{TEXT}.embed_tokens"], 1),
    ("RMSNorm", [f"{TEXT}.norm"], 1),
    ("Rotary tables (vendor)", [f"{MOE}.self_attn.rotary_emb"], 11),
    (
        "Decoder attention",
        [
            f"{MOE}.self_attn.{name}"
            for name in (
                "q_proj", "k_proj", "v_proj", "rotate_q", "rotate_k", "keys", "values", "copy_q",
                "scores", "scale", "to_float32", "softmax", "to_input", "mix", "merge_heads",
                "o_proj",
            )
        ],
        11,
    ),
    ("Gated MLP (SwiGLU)", [f"{TEXT}.layers.0.mlp"], 1),
    ("Router", [f"{MOE}.mlp.gate"], 11),
    ("Routed experts", [f"{MOE}.mlp.experts"], 11),
    ("Language model head", ["lm_head"], 1),
]  # fmt: skip


def prefill() -> Cost:
    """The prefill of pages without crops, on an empty cache."""
    model = load("deepseek-ocr", widths=Widths.SYMBOLIC, routing=Routing.SYMBOLIC)
    return symbolic_stages(model)["prefill"].bind({n_w: 0})


PREFILL = prefill()


@pytest.mark.parametrize(("title", "paths", "times"), PLACES, ids=[t for t, _, _ in PLACES])
def test_a_general_layer_is_the_models(title, paths, times):
    (layer,) = (layer for layer in GENERAL_LAYERS if layer.title == title)
    stated = cost_of(layer.graph(), Execution.EAGER).bind(sizes_of(published())[layer.sizes])
    real = Cost(tuple(entry for path in paths for entry in PREFILL.at(path).entries))
    for batch, side, tokens in ((2, 512, 300), (1, 1024, 273), (3, 1280, 999)):
        patches = side // 16
        of_clip = (side // 64) ** 2 + 1
        numbers = {B: batch, S: tokens, K: 0, U: 17, w_w: 1, w_a: 2, w_kv: 4}
        view = {X: batch, n: patches, N: patches**2 if title == "LayerNorm" else of_clip}
        ours = stated.evaluate(numbers | view)
        theirs = real.evaluate(numbers | {I_g: side, I_t: 640, n_h: 0})
        for metric in ("macs", "vector_flops", "bytes_read", "bytes_written", "weight_bytes"):
            assert times * getattr(ours, metric) == getattr(theirs, metric), metric


def test_every_layer_that_the_model_has_is_compared():
    compared = {title for title, _, _ in PLACES}
    # The projector reads two concatenated tensors and tables are shared by views: their work is
    # compared with torch in tests/oracles.
    others = {
        "Absolute positions",
        "Projector",
        "Image features as a sequence",
        "Decoder attention with grouped queries",
    }
    assert compared | others == {layer.title for layer in GENERAL_LAYERS}
