"""Every operator beside torch's own; the operator of a case is the first word of its name."""

from __future__ import annotations

from functools import partial

import sympy as sp
import torch
import torch.nn.functional as nnf

from symcost.operators import (
    add,
    arange,
    cache_append,
    cast,
    combine,
    concat,
    conv2d,
    copy,
    cos,
    crop,
    dispatch,
    einsum,
    embedding,
    gather,
    gelu,
    grouped_linear,
    index_arithmetic,
    interpolate_bicubic,
    interpolate_linear,
    layer_norm,
    linear,
    masked_scatter,
    matmul,
    mean,
    mul,
    neg,
    pad,
    rsqrt,
    scale,
    sigmoid,
    silu,
    sin,
    slice_backward,
    softmax,
    sort_by_expert,
    square,
    sum_to,
    top_k,
    weigh,
)
from symcost.operators.movement import mask, masked_scatter_backward, scatter
from symcost.symbols import (
    FLOAT32_WIDTH,
    INDEX_WIDTH,
    B,
    D,
    E,
    F,
    H,
    I_g,
    K,
    M,
    N,
    N_h,
    N_kv,
    P,
    S,
    V,
    c_i,
    c_o,
    k,
    n,
    n_0,
    w_kv,
)
from tests.oracles import support
from tests.oracles.support import Case, Point, choices, integers, marks

_SYMBOLS = (B, S, K, H, F, N_h, N_kv, D, N, E, k, V, c_i, c_o, n, n_0, M, P, I_g)
_VALUES = (
    (2, 1, 0, 7, 11, 3, 4, 6, 5, 9, 8, 13, 17, 19, 15, 14, 21, 16, 512),
    (1, 3, 63, 48, 129, 5, 2, 64, 31, 4, 6, 101, 3, 8, 33, 27, 7, 10, 576),
    (3, 129, 1, 64, 96, 12, 6, 32, 257, 8, 2, 99, 16, 24, 40, 64, 14, 16, 640),
    (5, 7, 400, 768, 3072, 8, 1, 96, 785, 64, 6, 1000, 3, 768, 64, 20, 16, 13, 1024),
    (4, 577, 17, 1280, 896, 10, 2, 128, 901, 16, 3, 515, 256, 512, 79, 127, 12, 14, 1280),
)
POINTS: list[Point] = [dict(zip(_SYMBOLS, values, strict=True)) for values in _VALUES]
"""Different sizes at each point, so that a swap shows; odd ones, and sides from 512 to 1280."""

ONE = sp.Integer(1)
floats = partial(support.floats, dtype=torch.bfloat16)
constants = partial(support.constants, dtype=torch.bfloat16)
_RELATIVE = "bhwc,hkc->bhwk"
_VECTOR = floats(B, S, H)


def _bicubic(table: torch.Tensor, side: int) -> torch.Tensor:
    channels_first = table.permute(0, 3, 1, 2).to(torch.float32)
    resized = nnf.interpolate(channels_first, (side, side), mode="bicubic", antialias=True)
    return resized.to(table.dtype).permute(0, 2, 3, 1)


def _index_put(values: torch.Tensor, ids: torch.Tensor, rows: int) -> torch.Tensor:
    return values.new_zeros(rows, values.shape[-1]).index_put((ids,), values)


# What follows is one step of the loop over experts in transformers' UnlimitedOcrTextExperts. Where
# it does not matter which rows an expert has, they are those that come first.


def _linear_of_each(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Rows for all experts, of which the first ones have a row more than the others."""
    each, more = divmod(len(rows), len(weight))
    parts = rows.split([each + (number < more) for number in range(len(weight))])
    return torch.cat([nnf.linear(*pair) for pair in zip(parts, weight, strict=True)])


def _sort_by_expert(numbers: torch.Tensor, experts: int) -> tuple[torch.Tensor, torch.Tensor]:
    mask = nnf.one_hot(numbers, num_classes=experts + 1).permute(2, 1, 0)
    hit = torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
    found = []
    for (number,) in hit:
        assert number != experts
        found.append(torch.where(mask[number]))
        int(number), int(number)  # by which both weights of the expert are picked
    places, tokens = (torch.cat(parts).reshape(numbers.shape) for parts in zip(*found, strict=True))
    return tokens, places


def _dispatch(x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """As many rows for each expert as there are tokens."""
    return torch.cat([x[of_one] for of_one in ids.split(len(x))])


def _weigh(
    values: torch.Tensor, weights: torch.Tensor, tokens: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    each = len(weights)
    parts = zip(
        values.split(each), tokens.view(-1).split(each), places.view(-1).split(each), strict=True
    )
    return torch.cat([(own * weights[t, i, None]).to(own.dtype) for own, t, i in parts])


def _combine(values: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    each = len(tokens)
    result = values.new_zeros(each, values.shape[-1])
    for own, t in zip(values.split(each), tokens.view(-1).split(each), strict=True):
        result.index_add_(0, t, own)
    return result


OPERATOR_CASES: dict[str, Case] = {
    # The matrix engine.
    "linear": Case((_VECTOR, floats(F, H)), linear, nnf.linear),
    "linear with a bias": Case((_VECTOR, floats(F, H), floats(F)), linear, nnf.linear),
    "linear on constants": Case((constants(B, H), floats(F, H)), linear, nnf.linear),
    "matmul": Case((floats(B, N_h, S, D), floats(B, N_h, D, N)), matmul, torch.matmul),
    "matmul of matrices": Case((floats(S, D), floats(D, N)), matmul, torch.matmul),
    "matmul with a transposed factor": Case(
        (floats(B, N_h, S, D), floats(B, N_h, K + S, D)),
        lambda g, a, b: matmul(g, a, b.transposed),
        lambda a, b: a @ b.transpose(-2, -1),
    ),
    "einsum along rows": Case(
        (floats(B, n, M, D), floats(n, S, D)),
        lambda g, a, b: einsum(g, _RELATIVE, a, b),
        lambda a, b: torch.einsum(_RELATIVE, a, b),
    ),
    "einsum along columns": Case(
        (floats(B, M, n, D), floats(n, S, D)),
        lambda g, a, b: einsum(g, "bhwc,wkc->bhwk", a, b),
        lambda a, b: torch.einsum("bhwc,wkc->bhwk", a, b),
    ),
    "conv2d in patches": Case(
        (constants(B, c_i, I_g, I_g), floats(c_o, c_i, P, P), floats(c_o)),
        lambda g, x, w, b, patch: conv2d(g, x, w, b, stride=patch),
        lambda x, w, b, patch: nnf.conv2d(x, w, b, stride=patch),
        sizes=(P,),
    ),
    "conv2d": Case((floats(B, c_i, n, M), floats(c_o, c_i, 1, 1)), conv2d, nnf.conv2d),
    "conv2d with padding": Case(
        (floats(B, c_i, n, n), floats(c_o, c_i, 3, 3)),
        lambda g, x, w: conv2d(g, x, w, padding=1),
        lambda x, w: nnf.conv2d(x, w, padding=1),
    ),
    "conv2d with stride": Case(
        (floats(B, c_i, n, M), floats(c_o, c_i, 2, 4), floats(c_o)),
        lambda g, x, w, b: conv2d(g, x, w, b, stride=3),
        lambda x, w, b: nnf.conv2d(x, w, b, stride=3),
    ),
    "conv2d with stride and padding": Case(
        (floats(B, c_i, n, M), floats(c_o, c_i, 3, 5), floats(c_o)),
        lambda g, x, w, b: conv2d(g, x, w, b, stride=2, padding=2),
        lambda x, w, b: nnf.conv2d(x, w, b, stride=2, padding=2),
    ),
    "grouped_linear": Case(
        (floats(B * k, H), floats(E, F, H)),
        lambda g, x, w: grouped_linear(g, x, w, experts=E),
        _linear_of_each,
    ),
    # Elements.
    "add": Case((_VECTOR, _VECTOR), add, torch.add),
    "add with repetition": Case((floats(B, S, 1, H), floats(S, M, 1)), add, torch.add),
    "mul": Case((_VECTOR, _VECTOR), mul, torch.mul),
    "mul with repetition": Case((floats(B, 1, H), floats(S, 1)), mul, torch.mul),
    "neg": Case((_VECTOR,), neg, torch.neg),
    "scale": Case((_VECTOR,), scale, lambda x: x * 0.5),
    "square": Case((_VECTOR,), square, lambda x: x.pow(2)),
    "rsqrt": Case((_VECTOR,), rsqrt, torch.rsqrt),
    "cos": Case((_VECTOR,), cos, torch.cos),
    "sin": Case((_VECTOR,), sin, torch.sin),
    "sigmoid": Case((_VECTOR,), sigmoid, torch.sigmoid),
    "silu": Case((_VECTOR,), silu, nnf.silu),
    "gelu": Case((_VECTOR,), gelu, nnf.gelu),
    "cast": Case(
        (_VECTOR,),
        lambda g, x: cast(g, x, width=FLOAT32_WIDTH),
        lambda x: x.to(torch.float32),
    ),
    # Rows.
    "mean": Case((_VECTOR,), mean, lambda x: x.mean(-1, keepdim=True)),
    "sum_to features": Case(
        (_VECTOR,),
        lambda g, x, features: sum_to(g, x, shape=(features,)),
        lambda x, features: x.sum_to_size(features),
        sizes=(H,),
        gradient=False,
    ),
    "sum_to a dimension of one": Case(
        (_VECTOR,),
        lambda g, x, b, h: sum_to(g, x, shape=(b, ONE, h)),
        lambda x, b, h: x.sum_to_size(b, 1, h),
        sizes=(B, H),
        gradient=False,
    ),
    "softmax": Case(
        (support.floats(B, N_h, S, N),),
        lambda g, x: softmax(g, x, width=FLOAT32_WIDTH),
        lambda x: x.softmax(-1),
    ),
    "layer_norm": Case(
        (_VECTOR, floats(H), floats(H)),
        layer_norm,
        lambda x, weight, bias: nnf.layer_norm(x, weight.shape, weight, bias),
    ),
    # Movement.
    "copy": Case(
        (floats(B, S, N_h, D),),
        lambda g, x: copy(g, x.permute(0, 2, 1, 3)),
        lambda x: x.permute(0, 2, 1, 3).clone(),
    ),
    "arange": Case(
        (),
        arange,
        lambda rows, columns: torch.arange(rows * columns, device="meta").reshape(rows, columns),
        sizes=(n, M),
        gradient=False,
    ),
    "index_arithmetic": Case(
        (integers(n, 1), integers(1, M)),
        lambda g, a, b: index_arithmetic(g, a, b, width=INDEX_WIDTH),
        lambda a, b: a - b,
        gradient=False,
    ),
    "pad": Case(
        (floats(B, n, n, H),),
        lambda g, x, more: pad(g, x, shape=(x.shape[0], n + more, n + more, x.features)),
        lambda x, more: nnf.pad(x, (0, 0, 0, more, 0, more)),
        sizes=(M,),
    ),
    "crop": Case(
        (floats(B, n + M, n + M, H),),
        lambda g, x, side: crop(g, x, shape=(x.shape[0], side, side, x.features)),
        lambda x, side: x[:, :side, :side].clone(),
        sizes=(n,),
    ),
    "slice_backward": Case(
        (floats(B, 1, H),),
        lambda g, dy, length: slice_backward(g, dy, shape=(dy.shape[0], length, dy.features)),
        lambda dy, length: torch.ops.aten.slice_backward(
            dy, [len(dy), length, dy.shape[-1]], 1, 0, 1, 1
        ),
        sizes=(S,),
        gradient=False,
    ),
    "concat": Case(
        (_VECTOR, floats(B, N, H), constants(B, 1, H)),
        lambda g, *parts: concat(g, *parts, dim=1),
        lambda *parts: torch.cat(parts, dim=1),
    ),
    "concat along the last dimension": Case(
        (_VECTOR, floats(B, S, F)),
        lambda g, *parts: concat(g, *parts, dim=-1),
        lambda *parts: torch.cat(parts, dim=-1),
    ),
    "embedding": Case(
        (floats(V, H), integers(B, S)),
        embedding,
        lambda table, ids: nnf.embedding(ids, table),
    ),
    "gather": Case((floats(N, H), integers(n, M)), gather, lambda x, ids: x[ids]),
    "scatter": Case(
        (floats(B * S, H), integers(B * S)),
        lambda g, values, ids, rows: scatter(g, values, ids, shape=(rows, values.features)),
        _index_put,
        sizes=(N,),
        gradient=False,
    ),
    "mask": Case(
        (_VECTOR, marks(B, S)),
        mask,
        lambda x, ids: x.masked_fill(ids.unsqueeze(-1), 0),
        gradient=False,
    ),
    "masked_scatter_backward": Case(
        (_VECTOR, marks(B, S)),
        lambda g, x, ids, rows: masked_scatter_backward(g, x, ids, shape=(rows, x.features)),
        lambda x, ids, rows: torch.ops.aten.masked_scatter_backward(
            x, ids.unsqueeze(-1), (rows, x.shape[-1])
        ),
        sizes=(N,),
        gradient=False,
    ),
    "masked_scatter": Case(
        (_VECTOR, floats(B, N, H), marks(B, S)),
        masked_scatter,
        lambda x, values, ids: x.masked_scatter(ids.unsqueeze(-1), values),
    ),
    "cache_append": Case(
        (constants(B, N_kv, K, D), constants(B, N_kv, S, D)),
        lambda g, past, new: cache_append(g, past, new, dim=2, width=w_kv),
        lambda past, new: torch.cat((past, new), dim=2),
        gradient=False,
    ),
    "interpolate_bicubic": Case(
        (floats(1, n_0, n_0, H),),
        lambda g, x, side: interpolate_bicubic(
            g, x, shape=(x.shape[0], side, side, x.features), needed=ONE
        ),
        _bicubic,
        sizes=(n,),
    ),
    "interpolate_linear": Case(
        (floats(n_0, D),),
        lambda g, x, rows: interpolate_linear(g, x, shape=(rows, x.features), needed=ONE),
        lambda x, rows: nnf.interpolate(x.T.unsqueeze(0), rows, mode="linear").squeeze(0).T,
        sizes=(n,),
    ),
    # Routing. No more experts are chosen than there are.
    "top_k": Case(
        (floats(B * S, E + k),),
        lambda g, scores, count: top_k.outputs(g, scores, count=count),
        lambda scores, count: tuple(torch.topk(scores, count)),
        sizes=(k,),
    ),
    "sort_by_expert": Case(
        (choices(B, k),),
        lambda g, numbers, experts: sort_by_expert.outputs(g, numbers, experts=experts, hit=k),
        _sort_by_expert,
        sizes=(E + k,),
        gradient=False,
    ),
    "dispatch": Case((floats(B, H), integers(B * k)), dispatch, _dispatch),
    "weigh": Case(
        (floats(B * k, H), support.floats(B, k), integers(B, k), integers(B, k)), weigh, _weigh
    ),
    "combine": Case((floats(B * k, H), integers(B, k)), combine, _combine),
}
