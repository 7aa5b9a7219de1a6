"""Every public layer over symbols; its parameters and multiply-accumulates, counted by hand.

A layer is named by its module and function; a second case of a layer says what is different.
"""

from __future__ import annotations

import sympy as sp

from symcost.graph import Graph, Scope
from symcost.layers import attention, embedding, head, linear, mlp, moe, norm, position, window
from symcost.symbols import (
    CROPS,
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
    Size,
    V,
    c_i,
    c_o,
    ceil_div,
    k,
    n,
    n_0,
    n_h,
    n_w,
    w_a,
)
from symcost.tensor import Tensor
from tests.laws.cases import Case, Point
from tests.laws.operator_cases import INDICATOR, PATCHES

WHOLE_WINDOWS = "the grid is padded to whole windows, so a larger window may leave less padding"
WIDTH = N_h * D
"""The features of an attention layer: heads times their size."""


def _x(g: Scope, *shape: Size, name: str = "x") -> Tensor:
    return g.graph.input(name, *shape)


def _indices(graph: Graph, name: str, *shape: Size) -> Tensor:
    return graph.input(name, *shape, width=INDEX_WIDTH, differentiable=False)


def _enough_experts(point: Point) -> bool:
    return point[k] <= point[E]


def _tables(g: Scope) -> tuple[Tensor, Tensor]:
    return _x(g, 1, S, D, name="cosines"), _x(g, 1, S, D, name="sines")


def _cached_attention(g: Scope, kv_heads: Size) -> list[Tensor]:
    mixed = attention.cached_attention(
        g, _x(g, B, S, H), *_tables(g), cached=K, heads=N_h, kv_heads=kv_heads, head_size=D
    )
    return [mixed]


def _grouped_queries(g: Scope) -> list[Tensor]:
    """Three query heads for each key and value head."""
    mixed = attention.cached_attention(
        g, _x(g, B, S, H), *_tables(g), cached=K, heads=3 * N_kv, kv_heads=N_kv, head_size=D
    )
    return [mixed]


def _relative_attention(g: Scope, *, always: bool) -> list[Tensor]:
    return [
        attention.relative_attention(
            g, _x(g, B, n, n, WIDTH), heads=N_h, trained_side=n_0, always_resize=always
        )
    ]


def _image_sequence(g: Scope) -> list[Tensor]:
    whole = _x(g, B, n, n, H, name="whole")
    tiles = _x(g, B, n_h, n_w, M, M, H, name="tiles")
    return [embedding.image_sequence(g, whole, tiles, columns=n_w, rows=n_h, condition=CROPS)]


def _rotary(g: Scope, *, by_matmul: bool) -> tuple[Tensor, ...]:
    positions = _indices(g.graph, "positions", 1, S)
    frequencies = g.graph.input("frequencies", D / 2, width=FLOAT32_WIDTH, differentiable=False)
    return position.rotary_tables(g, positions, frequencies, by_matmul=by_matmul, width=w_a)


def _experts(g: Scope) -> list[Tensor]:
    return [
        moe.routed_experts(
            g,
            _x(g, N, H),
            _x(g, N, k, name="weights"),
            _indices(g.graph, "numbers", N, k),
            experts=E,
            touched=sp.Min(E, N * k),
            features=F,
        )
    ]


def _unpartitioned(g: Scope) -> list[Tensor]:
    windows = _x(g, B * ceil_div(n, M) ** 2, M, M, H)
    return [window.unpartition(g, windows, n)]


LAYER_CASES: dict[str, Case] = {
    "attention.softmax_in_float32": Case(
        lambda g: [attention.softmax_in_float32(g, _x(g, B, S, N))]
    ),
    # Scores of S queries against N keys, and the mix of N values.
    "attention.attend": Case(
        lambda g: [
            attention.attend(
                g,
                _x(g, B, N_h, S, D, name="q"),
                _x(g, B, N_h, N, D, name="k"),
                _x(g, B, N_h, N, D, name="v"),
            )
        ],
        macs=2 * B * N_h * S * N * D,
    ),
    # Four projections; scores and mix.
    "attention.self_attention": Case(
        lambda g: [attention.self_attention(g, _x(g, B, S, WIDTH), heads=N_h)],
        macs=4 * B * S * WIDTH**2 + 2 * B * S**2 * WIDTH,
        parameters=4 * WIDTH**2 + 4 * WIDTH,
    ),
    # The same on n² patches, and each query against n rows and n columns of the tables.
    "attention.relative_attention": Case(
        lambda g: _relative_attention(g, always=True),
        macs=4 * B * n**2 * WIDTH**2 + 2 * B * n**4 * WIDTH + 2 * B * n**3 * WIDTH,
        parameters=4 * WIDTH**2 + 4 * WIDTH + 2 * (2 * n_0 - 1) * D,
    ),
    "attention.relative_attention: resized where needed": Case(
        lambda g: _relative_attention(g, always=False),
        macs=4 * B * n**2 * WIDTH**2 + 2 * B * n**4 * WIDTH + 2 * B * n**3 * WIDTH,
        bends={n: INDICATOR, n_0: INDICATOR},
        parameters=4 * WIDTH**2 + 4 * WIDTH + 2 * (2 * n_0 - 1) * D,
    ),
    # Queries and output over N_h heads, keys and values over N_kv; S queries see K + S keys.
    "attention.cached_attention": Case(
        lambda g: _cached_attention(g, N_h),
        macs=4 * B * S * H * WIDTH + 2 * B * S * (K + S) * WIDTH,
        parameters=4 * H * WIDTH,
    ),
    "attention.cached_attention: grouped queries": Case(
        _grouped_queries,
        macs=2 * B * S * H * N_kv * D * (3 + 1) + 2 * B * S * (K + S) * 3 * N_kv * D,
        parameters=8 * H * N_kv * D,
    ),
    "embedding.token_embedding": Case(
        lambda g: [
            embedding.token_embedding(g, _indices(g.graph, "ids", B, S), vocabulary=V, features=H)
        ],
        parameters=V * H,
    ),
    "embedding.with_newlines": Case(
        lambda g: [embedding.with_newlines(g, _x(g, B, n, M, H), g.weight("newline", H))],
        parameters=H,
    ),
    "embedding.image_sequence": Case(_image_sequence, parameters=2 * H),
    "embedding.take_in": Case(
        lambda g: [
            embedding.take_in(
                g, _x(g, B, S, H), _x(g, B, N, H, name="y"), _indices(g.graph, "ids", B, S)
            )
        ]
    ),
    "head.head": Case(
        lambda g: [head.head(g, _x(g, B, S, H), vocabulary=V, last_only=False)],
        macs=B * S * H * V,
        parameters=V * H,
    ),
    "head.head: last token": Case(
        lambda g: [head.head(g, _x(g, B, S, H), vocabulary=V, last_only=True)],
        macs=B * H * V,
        parameters=V * H,
    ),
    "linear.dense": Case(
        lambda g: [linear.dense(g, _x(g, B, S, H), F, bias=True)],
        macs=B * S * H * F,
        parameters=F * H + F,
    ),
    # A window of 3 that moves by 1 over n + 2 places fits n times.
    "linear.convolution": Case(
        lambda g: [linear.convolution(g, _x(g, B, c_i, n, n), c_o, kernel=3, padding=1, bias=True)],
        macs=9 * B * c_i * c_o * n**2,
        parameters=9 * c_i * c_o + c_o,
    ),
    "linear.patch_embedding": Case(
        lambda g: [linear.patch_embedding(g, _x(g, B, 3, I_g, I_g), H, patch=P)],
        macs=3 * P**2 * B * H * sp.floor(I_g / P) ** 2,
        bends={P: PATCHES},
        parameters=3 * P**2 * H + H,
    ),
    "mlp.quick_gelu": Case(lambda g: [mlp.quick_gelu(g, _x(g, B, S, H))]),
    "mlp.gelu_mlp": Case(
        lambda g: [mlp.gelu_mlp(g, _x(g, B, S, H), F)],
        macs=2 * B * S * H * F,
        parameters=2 * F * H + F + H,
    ),
    "mlp.quick_gelu_mlp": Case(
        lambda g: [mlp.quick_gelu_mlp(g, _x(g, B, S, H), F)],
        macs=2 * B * S * H * F,
        parameters=2 * F * H + F + H,
    ),
    # Gate, up and down.
    "mlp.gated_mlp": Case(
        lambda g: [mlp.gated_mlp(g, _x(g, B, S, H), F)],
        macs=3 * B * S * H * F,
        parameters=3 * F * H,
    ),
    "moe.router": Case(
        lambda g: moe.router(g, _x(g, N, H), experts=E, chosen=k),
        macs=N * H * E,
        legal=_enough_experts,
        parameters=E * H,
    ),
    # Each of the N k rows runs through the gated MLP of one expert.
    "moe.routed_experts": Case(
        _experts, macs=3 * N * k * H * F, legal=_enough_experts, parameters=3 * E * F * H
    ),
    # The shared experts have c_o features together.
    "moe.mixture_of_experts": Case(
        lambda g: [
            moe.mixture_of_experts(
                g,
                _x(g, B, S, H),
                experts=E,
                chosen=k,
                touched=sp.Min(E, B * S * k),
                features=F,
                shared_features=c_o,
            )
        ],
        macs=B * S * H * E + 3 * B * S * k * H * F + 3 * B * S * H * c_o,
        legal=_enough_experts,
        parameters=E * H + 3 * E * F * H + 3 * H * c_o,
    ),
    "norm.norm": Case(lambda g: [norm.norm(g, _x(g, B, S, H))], parameters=2 * H),
    "norm.norm_2d": Case(lambda g: [norm.norm_2d(g, _x(g, B, c_i, n, M))], parameters=2 * c_i),
    "norm.rms_norm": Case(lambda g: [norm.rms_norm(g, _x(g, B, S, H))], parameters=H),
    "position.absolute_grid": Case(
        lambda g: [position.absolute_grid(g, g.weight("table", 1, n_0, n_0, H), n)],
        bends={n: INDICATOR, n_0: INDICATOR},
        parameters=n_0**2 * H,
    ),
    "position.distances": Case(lambda g: [position.distances(g, n)]),
    "position.relative_bias": Case(
        lambda g: [
            position.relative_bias(
                g, _x(g, B, n, n, D), trained_side=n_0, always_resize=True, kernel=None
            )
        ],
        macs=2 * B * n**3 * D,
        parameters=2 * (2 * n_0 - 1) * D,
    ),
    "position.rotary_tables": Case(lambda g: _rotary(g, by_matmul=False)),
    "position.rotary_tables: product of matrices": Case(
        lambda g: _rotary(g, by_matmul=True), macs=S * D / 2
    ),
    "position.rotate": Case(lambda g: [position.rotate(g, _x(g, B, N_h, S, D), *_tables(g))]),
    "window.partition": Case(
        lambda g: [window.partition(g, _x(g, B, n, n, H), M)], bends={M: WHOLE_WINDOWS}
    ),
    "window.unpartition": Case(_unpartitioned, bends={M: WHOLE_WINDOWS}),
}
