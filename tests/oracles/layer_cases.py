"""Every layer beside the real module or function that it stands for, at the published sizes.

A layer is named by its module and function; a second case of a layer says what is different.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as nnf
from transformers import LlamaConfig, UnlimitedOcrConfig
from transformers.models.llama.modeling_llama import LlamaAttention
from transformers.models.unlimited_ocr import modeling_unlimited_ocr as real

from symcost.graph import Scope
from symcost.layers import attention, embedding, head, linear, mlp, moe, norm, position, window
from symcost.models.deepseek_ocr import decoder, vision
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.reference import REFERENCES
from symcost.operators import concat
from symcost.symbols import (
    CROPS,
    FLOAT32_WIDTH,
    B,
    I_g,
    I_t,
    K,
    S,
    Size,
    U,
    ceil_div,
    n_h,
    n_w,
    w_a,
)
from symcost.tensor import Tensor
from tests.oracles.support import Case, Point, cache_of, constants, floats, integers, port

CONFIG = published()
REFERENCE = REFERENCES["transformers"]
PORT = port(UnlimitedOcrConfig())
SAM = PORT.model.vision_tower.sam_encoder
WINDOWED, GLOBAL = SAM.layers[0], SAM.layers[2]
CLIP = PORT.model.vision_tower.vision_encoder
CLIP_LAYER = CLIP.encoder.layers[0]
LANGUAGE = PORT.model.language_model
DENSE, ROUTED = LANGUAGE.layers[0], LANGUAGE.layers[1]

SIDES = (512, 576, 640, 1024, 1280)
VIEWS: list[Point] = [{B: batch, I_g: side} for side, batch in product(SIDES, (1, 3))]
TOKENS: list[Point] = [
    {B: 1, S: 1, K: 0},
    {B: 3, S: 1, K: 1},
    {B: 1, S: 1, K: 400},
    {B: 3, S: 7, K: 63},
    {B: 1, S: 129, K: 400},
    {B: 3, S: 273, K: 0},
    {B: 2, S: 903, K: 1},
]
GRIDS: list[Point] = [
    {B: 1, I_g: 1024, I_t: 640, n_w: 2, n_h: 3},
    {B: 3, I_g: 512, I_t: 640, n_w: 0, n_h: 0},
    {B: 3, I_g: 576, I_t: 512, n_w: 3, n_h: 1},
    {B: 2, I_g: 1280, I_t: 1024, n_w: 1, n_h: 2},
]

M = CONFIG.sam.window
n, q, t = I_g / 16, I_g / 64, I_t / 64
_PATCHES = floats(B, n, n, 768)
_FEATURES = floats(B, 1024, q, q)
_HIDDEN = floats(B, S, 1280)
_TOKENS = floats(B * S, 1280)
_TABLES = (constants(1, S, 128), constants(1, S, 128))
_CLIP_HIDDEN = floats(B, q**2 + 1, 1024)


def _attended(
    module: Any, x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, cached: int
) -> torch.Tensor:
    config = module.config
    past = cache_of(cached, len(x), config.num_key_value_heads, config.head_dim)
    return module(x, (cosines, sines), attention_mask=None, past_key_values=past)[0]


def _grouped_queries(hidden: int, heads: int, kv_heads: int, head_size: int) -> Case:
    """Llama's attention, in which several heads share a key and value head."""
    config = LlamaConfig(
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_size,
    )
    config._attn_implementation = "eager"
    with torch.device("meta"):
        module = LlamaAttention(config, layer_idx=0)
    tables = (constants(1, S, head_size), constants(1, S, head_size))
    return Case(
        (floats(B, S, hidden), *tables),
        _state_cached_attention(heads=heads, kv_heads=kv_heads, head_size=head_size),
        partial(_attended, module),
        sizes=(K,),
    )


def _state_cached_attention(**sizes: int) -> Callable[..., Tensor]:
    def state(g: Scope, x: Tensor, cosines: Tensor, sines: Tensor, cached: Size) -> Tensor:
        return attention.cached_attention(g, x, cosines, sines, cached=cached, **sizes)

    return state


def _state_relative_attention(trained_side: int) -> Callable[..., Tensor]:
    return partial(
        attention.relative_attention, heads=12, trained_side=trained_side, always_resize=True
    )


def _relative_bias(module: Any, trained_side: int) -> Case:
    def run(query: torch.Tensor, side: int) -> torch.Tensor:
        sides = (side, side)
        return module.get_decomposed_rel_pos(
            query.flatten(1, 2), module.rel_pos_h, module.rel_pos_w, sides, sides
        )

    return Case(
        (floats(B * 12, n, n, 64),),
        lambda g, query, _: position.relative_bias(
            g, query, trained_side=trained_side, always_resize=True, kernel=g
        ),
        run,
        sizes=(n,),
    )


def _state_rotary(g: Scope, positions: Tensor, *, by_matmul: bool) -> tuple[Tensor, Tensor]:
    frequencies = g.graph.input("inv_freq", 64, width=FLOAT32_WIDTH, differentiable=False)
    return position.rotary_tables(g, positions, frequencies, by_matmul=by_matmul, width=w_a)


def _rotary_by_matmul(positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """LlamaRotaryEmbedding of transformers 4, which the vendor's code runs in every layer."""
    inv_freq = torch.empty(64, device="meta")
    inv_freq_expanded = inv_freq[None, :, None].float().expand(positions.shape[0], -1, 1)
    position_ids_expanded = positions[:, None, :].float()
    freqs = (inv_freq_expanded.float() @ position_ids_expanded.float()).transpose(1, 2)
    emb = torch.cat((freqs, freqs), dim=-1)
    return emb.cos(), emb.sin()


def _unpartition(windows: torch.Tensor, side: int) -> torch.Tensor:
    padded = -(-side // M) * M
    return WINDOWED.window_unpartition(windows, M, (padded, padded), (side, side))


def image_features(
    whole: torch.Tensor, tiles: torch.Tensor | None, columns: int, rows: int
) -> torch.Tensor:
    """The port's own code behind a vision tower that is left out: features in, features out."""
    batch = len(whole)
    stand_in = SimpleNamespace(
        vision_tower=lambda x: SimpleNamespace(
            last_hidden_state=x, hidden_states=None, attentions=None
        ),
        multi_modal_projector=torch.nn.Identity(),
        image_newline=PORT.model.image_newline,
        view_separator=PORT.model.view_separator,
    )
    features = real.UnlimitedOcrModel.get_image_features(
        stand_in,
        whole.flatten(1, 2),
        tiles.flatten(3, 4).flatten(0, 2) if columns * rows else None,
        [columns * rows] * batch,
        [[columns, rows]] * batch,
    )
    return torch.stack(features.pooler_output)


def _with_separator(g: Scope, grid: Tensor) -> Tensor:
    rows = embedding.with_newlines(g, grid, g.weight("image_newline", 1280))
    separator = g.weight("view_separator", 1280).reshape(1, 1, 1280)
    return concat(g / "separator", rows, separator.expand(rows.shape[0], 1, 1280), dim=1)


ATTENTION_CASES = {
    "attention.softmax_in_float32": Case(
        (floats(B, 10, S, K + S),),
        attention.softmax_in_float32,
        lambda x: nnf.softmax(x, dim=-1, dtype=torch.float32).to(x.dtype),
    ),
    "attention.attend": Case(
        (floats(B, 10, S, 128), floats(B, 10, K + S, 128), floats(B, 10, K + S, 128)),
        attention.attend,
        lambda *qkv: real.eager_attention_forward(CLIP_LAYER.self_attn, *qkv, None, scaling=1.0)[0],
    ),
    "attention.self_attention": Case(
        (_CLIP_HIDDEN,),
        partial(attention.self_attention, heads=16),
        lambda x: CLIP_LAYER.self_attn(x)[0],
    ),
    "attention.relative_attention: windows": Case(
        (floats(B * ceil_div(n, M) ** 2, M, M, 768),),
        _state_relative_attention(trained_side=M),
        lambda x: WINDOWED.attn(x)[0],
    ),
    "attention.relative_attention: global": Case(
        (_PATCHES,), _state_relative_attention(trained_side=64), lambda x: GLOBAL.attn(x)[0]
    ),
    "attention.cached_attention": Case(
        (_HIDDEN, *_TABLES),
        _state_cached_attention(heads=10, kv_heads=10, head_size=128),
        partial(_attended, DENSE.self_attn),
        sizes=(K,),
    ),
    "attention.cached_attention: four queries a key": _grouped_queries(2048, 32, 8, 64),
    "attention.cached_attention: three queries a key": _grouped_queries(960, 15, 5, 64),
    "attention.cached_attention: one key for all": _grouped_queries(768, 12, 1, 64),
    "attention.cached_attention: heads wider than the input": _grouped_queries(1024, 16, 8, 128),
    "attention.cached_attention: a key for each query": _grouped_queries(768, 12, 12, 64),
}

POSITION_CASES = {
    "position.absolute_grid: SAM": Case(
        (),
        lambda g, side: position.absolute_grid(g, g.weight("table", 1, 64, 64, 768), side),
        lambda side: SAM.interpolate_pos_encoding(side, side),
        sizes=(n,),
    ),
    "position.absolute_grid: CLIP": Case(
        (_CLIP_HIDDEN,),
        lambda g, _, side: position.absolute_grid(g, g.weight("table", 1, 16, 16, 1024), side),
        lambda x, side: CLIP.embeddings.interpolate_pos_encoding(x, 14 * side, 14 * side)[
            :, 1:
        ].reshape(1, side, side, 1024),
        sizes=(q,),
    ),
    "position.distances": Case(
        (),
        position.distances,
        lambda side: torch.empty(side, side, device="meta"),
        sizes=(n,),
        gradient=False,
    ),
    "position.relative_bias: global": _relative_bias(GLOBAL.attn, 64),
    "position.relative_bias: windows": _relative_bias(WINDOWED.attn, M),
    "position.rotary_tables: transformers": Case(
        (integers(1, S),),
        partial(_state_rotary, by_matmul=False),
        lambda positions: LANGUAGE.rotary_emb(torch.empty(0, device="meta"), positions),
        gradient=False,
    ),
    "position.rotary_tables: vendor": Case(
        (integers(1, S),),
        partial(_state_rotary, by_matmul=True),
        _rotary_by_matmul,
        gradient=False,
    ),
    "position.rotate": Case(
        (floats(B, 10, S, 128), *_TABLES),
        position.rotate,
        lambda x, cosines, sines: real.apply_rotary_pos_emb(x, x, cosines, sines)[0],
    ),
    "window.partition": Case(
        (_PATCHES,),
        lambda g, x: window.partition(g, x, M),
        lambda x: WINDOWED.window_partition(x, M)[0],
    ),
    "window.unpartition": Case(
        (floats(B * ceil_div(n, M) ** 2, M, M, 768),), window.unpartition, _unpartition, sizes=(n,)
    ),
}

EMBEDDING_CASES = {
    "embedding.token_embedding": Case(
        (integers(B, S),),
        partial(embedding.token_embedding, vocabulary=129280, features=1280),
        LANGUAGE.embed_tokens,
    ),
    "embedding.with_newlines": Case(
        (floats(B, q, q, 1280),), _with_separator, lambda grid: image_features(grid, None, 0, 0)
    ),
    "embedding.take_in": Case(
        (_HIDDEN, _HIDDEN, integers(B, S)),
        embedding.take_in,
        lambda x, values, ids: x.masked_scatter((ids == 128815).unsqueeze(-1), values),
    ),
    "embedding.image_sequence": Case(
        (floats(B, q, q, 1280), floats(B, n_h, n_w, t, t, 1280)),
        lambda g, whole, tiles, columns, rows: embedding.image_sequence(
            g, whole, tiles, columns=columns, rows=rows, condition=CROPS
        ),
        image_features,
        sizes=(n_w, n_h),
    ),
}

DENSE_CASES = {
    "linear.dense": Case((_HIDDEN,), lambda g, x: linear.dense(g, x, 6848), DENSE.mlp.gate_proj),
    "linear.dense: projector": Case(
        (floats(B, q**2, 2048),),
        lambda g, x: linear.dense(g, x, 1280, bias=True),
        PORT.model.multi_modal_projector,
    ),
    "linear.convolution: 1 × 1": Case(
        (floats(B, 768, n, n),),
        lambda g, x: linear.convolution(g, x, 256, kernel=1),
        SAM.neck.conv1,
    ),
    "linear.convolution: 3 × 3": Case(
        (floats(B, 256, n, n),),
        lambda g, x: linear.convolution(g, x, 256, kernel=3, padding=1),
        SAM.neck.conv2,
    ),
    "linear.convolution: stride 2": Case(
        (floats(B, 512, n / 2, n / 2),),
        lambda g, x: linear.convolution(g, x, 1024, kernel=3, stride=2, padding=1),
        SAM.proj.conv2,
    ),
    "linear.patch_embedding": Case(
        (constants(B, 3, I_g, I_g),),
        lambda g, x: linear.patch_embedding(g, x, 768, patch=16),
        SAM.patch_embed,
    ),
    "head.head: all tokens": Case(
        (_HIDDEN,),
        partial(head.head, vocabulary=129280, last_only=False),
        PORT.lm_head,
    ),
    "head.head: last token": Case(
        (_HIDDEN,),
        partial(head.head, vocabulary=129280, last_only=True),
        lambda x: PORT.lm_head(real.slice_logits_to_keep(x, 1)),
    ),
    "mlp.quick_gelu": Case((_CLIP_HIDDEN,), mlp.quick_gelu, CLIP_LAYER.mlp.activation_fn),
    "mlp.gelu_mlp": Case((_PATCHES,), lambda g, x: mlp.gelu_mlp(g, x, 3072), WINDOWED.mlp),
    "mlp.quick_gelu_mlp": Case(
        (_CLIP_HIDDEN,), lambda g, x: mlp.quick_gelu_mlp(g, x, 4096), CLIP_LAYER.mlp
    ),
    "mlp.gated_mlp": Case((_HIDDEN,), lambda g, x: mlp.gated_mlp(g, x, 6848), DENSE.mlp),
    "mlp.gated_mlp: shared experts": Case(
        (_HIDDEN,), lambda g, x: mlp.gated_mlp(g, x, 1792), ROUTED.mlp.shared_experts
    ),
    "moe.router": Case(
        (_TOKENS,),
        partial(moe.router, experts=64, chosen=6),
        lambda x: ROUTED.mlp.gate(x)[1:],
    ),
    "moe.routed_experts": Case(
        (_TOKENS, floats(B * S, 6), integers(B * S, 6)),
        partial(moe.routed_experts, experts=64, touched=U, features=896),
        lambda x, weights, numbers: ROUTED.mlp.experts(x, numbers, weights),
    ),
    "moe.mixture_of_experts": Case(
        (_HIDDEN,),
        partial(
            moe.mixture_of_experts,
            experts=64,
            chosen=6,
            touched=U,
            features=896,
            shared_features=1792,
        ),
        ROUTED.mlp,
    ),
    "norm.norm": Case((_CLIP_HIDDEN,), norm.norm, CLIP.pre_layrnorm),
    "norm.norm_2d": Case((floats(B, 256, n, n),), norm.norm_2d, SAM.neck.layer_norm1),
    "norm.rms_norm": Case((_HIDDEN,), norm.rms_norm, LANGUAGE.norm),
}

LAYER_CASES: dict[str, Case] = ATTENTION_CASES | POSITION_CASES | EMBEDDING_CASES | DENSE_CASES


def _sam_layer(module: Any, size: int | None) -> Case:
    return Case(
        (_PATCHES,),
        lambda g, x: vision.sam_layer(g, CONFIG.sam, REFERENCE, x, window=size),
        module,
    )


def _decoder_layer(module: Any, *, routed: bool) -> Case:
    def state(g: Scope, x: Tensor, cosines: Tensor, sines: Tensor, _: Size) -> Tensor:
        return decoder.decoder_layer(g, CONFIG.decoder, x, cosines, sines, routed=routed)

    def run(
        x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, cached: int
    ) -> torch.Tensor:
        past = cache_of(cached, len(x), 10, 128, layers=2)
        return module(x, position_embeddings=(cosines, sines), past_key_values=past)

    return Case((_HIDDEN, *_TABLES), state, run, sizes=(K,))


BLOCK_CASES: dict[str, Case] = {
    "vision.sam_encoder": Case(
        (constants(B, 3, I_g, I_g),),
        lambda g, x: vision.sam_encoder(g, CONFIG.sam, REFERENCE, x),
        lambda x: SAM(x).last_hidden_state,
    ),
    "vision.sam_layer: windowed": _sam_layer(WINDOWED, M),
    "vision.sam_layer: global": _sam_layer(GLOBAL, None),
    "vision.clip_encoder": Case(
        (_FEATURES,),
        lambda g, x: vision.clip_encoder(g, CONFIG.clip, REFERENCE, x),
        lambda x: CLIP(x).last_hidden_state,
    ),
    "vision.clip_layer": Case(
        (_CLIP_HIDDEN,),
        lambda g, x: vision.clip_layer(g, CONFIG.clip, x),
        lambda x: CLIP_LAYER(x, None),
    ),
    "decoder.decoder_layer: dense": _decoder_layer(DENSE, routed=False),
    "decoder.decoder_layer: routed": _decoder_layer(ROUTED, routed=True),
}


def points_of(case: Case) -> list[Point]:
    """The points at which a case is looked at: those that bind its symbols."""
    sizes = [size for given in case.given for size in given.shape] + list(case.sizes)
    symbols = set().union(*(getattr(size, "free_symbols", set()) for size in sizes))
    if symbols & {n_w, n_h}:
        return GRIDS
    return VIEWS if I_g in symbols else TOKENS
