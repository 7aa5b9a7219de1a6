"""Attention: the mechanism once, and the blocks that use it."""

from __future__ import annotations

from symcost.graph import Scope
from symcost.layers.kernels import BIASED_FLASH_ATTENTION, FLASH_ATTENTION, ROTARY
from symcost.layers.linear import dense
from symcost.layers.position import relative_bias, rotate
from symcost.operators import (
    add,
    cache_append,
    cast,
    copy,
    matmul,
    scale,
    softmax,
)
from symcost.symbols import FLOAT32_WIDTH, Size, as_expr, w_kv
from symcost.tensor import Tensor


def softmax_in_float32(g: Scope, scores: Tensor) -> Tensor:
    """Softmax in float32, cast back to the width of the scores and given their name."""
    wide = cast(g / "to_float32", scores, width=FLOAT32_WIDTH)
    weights = softmax(g / "softmax", wide, width=FLOAT32_WIDTH)
    (g / "to_input").holds(scores)
    return cast(g / "to_input", weights, width=scores.width)


def attend(at: Scope, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Full attention of (b, heads, s, d) to (b, heads, l, d), in memory as (b, s, heads, d).

    Transformers: eager_attention_forward. A causal mask saves nothing here: the products with
    all keys are computed. Operands that are views by head are copied before a product, as the
    reference does for b > 1; with a single sequence it needs no copy.
    """
    scores = scale(at / "scale", matmul(at / "scores", query, key.transposed))
    weights = softmax_in_float32(at, scores)
    at.caller.holds(weights)
    mixed = matmul(at / "mix", weights, value)
    return copy(at / "merge_heads", mixed.permute(0, 2, 1, 3))


def self_attention(g: Scope, x: Tensor, *, heads: Size) -> Tensor:
    """Bidirectional attention with biases on x (b, s, h) (transformers: UnlimitedOcrAttention)."""
    batch, tokens, features = x.shape
    query, key, value = (
        dense(g / name, x, features, bias=True)
        .reshape(batch, tokens, heads, features / heads)
        .permute(0, 2, 1, 3)
        for name in ("q_proj", "k_proj", "v_proj")
    )
    g.holds(query, key, value)
    at = g.fused(FLASH_ATTENTION)
    query, key, value = (
        copy(at / name, part)
        for name, part in (("copy_q", query), ("copy_k", key), ("copy_v", value))
    )
    mixed = attend(at, query, key, value)
    return dense(g / "out_proj", mixed.reshape(batch, tokens, features), features, bias=True)


def relative_attention(
    g: Scope, x: Tensor, *, heads: Size, trained_side: Size, always_resize: bool
) -> Tensor:
    """SAM's attention on windows or the whole grid (b, s, s, h), with relative positions.

    Transformers: UnlimitedOcrSamVisionAttention.
    """
    batch, side, _, features = x.shape
    tokens, size = side**2, features / as_expr(heads)
    stacked = dense(g / "qkv", x, 3 * features, bias=True)
    by_head = stacked.reshape(batch, tokens, 3, heads, size).permute(2, 0, 3, 1, 4)
    split = copy(g / "split_heads", by_head).reshape(3, batch * heads, tokens, size)
    query, key, value = (
        part.reshape(batch * heads, tokens, size) for part in split.split(0, 1, 1, 1)
    )
    at = g.fused(BIASED_FLASH_ATTENTION)
    bias = relative_bias(
        g,
        query.reshape(batch * heads, side, side, size),
        trained_side=trained_side,
        always_resize=always_resize,
        kernel=at.kernel,
    )
    scores = matmul(at / "scores", scale(at / "scale", query), key.transposed)
    biased = add(at / "add_bias", scores, bias.reshape(batch * heads, tokens, tokens))
    g.holds(stacked, split, bias)
    weights = softmax_in_float32(at, biased)
    g.caller.holds(weights)
    mixed = matmul(at / "mix", weights, value)
    by_patch = mixed.reshape(batch, heads, side, side, size).permute(0, 2, 3, 1, 4)
    merged = copy(at / "merge_heads", by_patch).reshape(batch, side, side, features)
    return dense(g / "proj", merged, features, bias=True)


def cached_attention(
    g: Scope,
    x: Tensor,
    cosines: Tensor,
    sines: Tensor,
    *,
    cached: Size,
    heads: Size,
    kv_heads: Size,
    head_size: Size,
) -> Tensor:
    """Decoder attention with rotary positions and a KV cache on x (b, s, h).

    Several heads may share a key and value head (grouped queries). Transformers: LlamaAttention.
    """
    batch, tokens, features = x.shape
    query, key, value = (
        dense(g / name, x, count * as_expr(head_size))
        .reshape(batch, tokens, count, head_size)
        .permute(0, 2, 1, 3)
        for name, count in (("q_proj", heads), ("k_proj", kv_heads), ("v_proj", kv_heads))
    )
    turn = g.fused(ROTARY)
    query = rotate(turn / "rotate_q", query, cosines, sines)
    key = rotate(turn / "rotate_k", key, cosines, sines)

    at = g.fused(FLASH_ATTENTION)
    past = (batch, kv_heads, cached, head_size)
    keys, values = (
        cache_append(at / name, g.cached(name, *past, width=w_kv), new, dim=2, width=w_kv)
        for name, new in (("keys", key), ("values", value))
    )
    if heads != kv_heads:
        keys = _repeat(at / "repeat_keys", keys, heads)
        values = _repeat(at / "repeat_values", values, heads)
    g.holds(query)
    merged = attend(at, copy(at / "copy_q", query), keys, values)
    return dense(g / "o_proj", merged.reshape(batch, tokens, heads * as_expr(head_size)), features)


def _repeat(g: Scope, x: Tensor, heads: Size) -> Tensor:
    """Key or value heads repeated for the query heads that share them (repeat_kv)."""
    batch, kv_heads, length, size = x.shape
    group = as_expr(heads) / kv_heads
    wide = x.reshape(batch, kv_heads, 1, length, size).expand(batch, kv_heads, group, length, size)
    return copy(g, wide).reshape(batch, heads, length, size)
