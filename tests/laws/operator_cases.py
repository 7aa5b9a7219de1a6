"""Every registered operator over symbols, and what it costs, counted by hand.

Vector FLOPs are the documented number per element times the elements; traffic is what is touched
of each tensor, in elements, and scratch, in bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from symcost.graph import Scope
from symcost.operators import OPERATORS
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
    Size,
    V,
    c_i,
    c_o,
    differs,
    k,
    n,
    n_0,
    w_a,
    w_kv,
)
from symcost.tensor import Tensor
from tests.laws.cases import Case

PATCHES = "a larger patch makes fewer patches: the outputs shrink with its square"
INDICATOR = "the table is resized only where the side is not the trained one: a step, no growth"
CHOSEN = sp.Min(E, B * k)


def _given(g: Scope, *shape: Size, name: str = "x") -> Tensor:
    return g.graph.input(name, *shape)


def _ids(g: Scope, *shape: Size) -> Tensor:
    return g.graph.input("ids", *shape, width=INDEX_WIDTH, differentiable=False)


def _case(operator: str, arguments: Callable[[Scope], tuple], /, **facts) -> Case:
    """A case that calls an operator with positional arguments and a last dict of named ones."""
    named = facts.pop("named", {})

    def run(g: Scope) -> tuple[Tensor, ...]:
        return OPERATORS[operator].outputs(g / operator, *arguments(g), **named)

    return Case(run, operator=operator, **facts)


def _unary(name: str, flops: int) -> Case:
    size = B * S * H
    return _case(
        name,
        lambda g: (_given(g, B, S, H),),
        vector_flops=flops * size,
        reads=(size,),
        writes=(size,),
    )


def _unary_backward(name: str, flops: int, *, saves: bool) -> Case:
    """The gradient of an operator that saves its input or its result for it, or nothing."""
    size = B * S * H
    given = ("dy", "saved") if saves else ("dy",)
    return _case(
        f"{name}_backward",
        lambda g: tuple(_given(g, B, S, H, name=each) for each in given),
        vector_flops=flops * size,
        reads=(size,) * len(given),
        writes=(size,),
    )


def _append(g: Scope) -> tuple[Tensor, ...]:
    past = g.cached("past", B, N_kv, K, D, width=w_kv)
    new = _given(g, B, N_kv, S, D)
    OPERATORS["cache_append"](g / "append", past, new, dim=2, width=w_kv)
    return ()


CONTRACTIONS = {
    # Every output element sums as many products as the inner size says.
    "linear": _case(
        "linear",
        lambda g: (_given(g, B, S, H), g.weight("weight", F, H), g.weight("bias", F)),
        macs=B * S * H * F,
        vector_flops=B * S * F,
        reads=(B * S * H, F * H, F),
        writes=(B * S * F,),
    ),
    "linear without bias": _case(
        "linear",
        lambda g: (_given(g, B, S, H), g.weight("weight", F, H)),
        macs=B * S * H * F,
        vector_flops=sp.Integer(0),
        reads=(B * S * H, F * H),
        writes=(B * S * F,),
    ),
    "matmul": _case(
        "matmul",
        lambda g: (_given(g, B, N_h, S, D), _given(g, B, N_h, D, N, name="y")),
        macs=B * N_h * S * D * N,
        vector_flops=sp.Integer(0),
        reads=(B * N_h * S * D, B * N_h * D * N),
        writes=(B * N_h * S * N,),
    ),
    "einsum": _case(
        "einsum",
        lambda g: ("bhwc,hkc->bhwk", _given(g, B, n, M, D), _given(g, n, S, D, name="y")),
        macs=B * n * M * D * S,
        vector_flops=sp.Integer(0),
        reads=(B * n * M * D, n * S * D),
        writes=(B * n * M * S,),
    ),
    # Patches do not overlap, so a side of I_g pixels makes floor(I_g / P) of them.
    "conv2d in patches": _case(
        "conv2d",
        lambda g: (
            _given(g, B, c_i, I_g, I_g),
            g.weight("weight", c_o, c_i, P, P),
            g.weight("bias", c_o),
        ),
        named={"stride": P},
        macs=B * c_o * c_i * P**2 * sp.floor(I_g / P) ** 2,
        vector_flops=B * c_o * sp.floor(I_g / P) ** 2,
        reads=(B * c_i * I_g**2, c_o * c_i * P**2, c_o),
        writes=(B * c_o * sp.floor(I_g / P) ** 2,),
        bends={P: PATCHES},
    ),
    # A window of 3 that moves by 2 over n + 2 places fits floor((n - 1) / 2) + 1 times.
    "conv2d with stride 2": _case(
        "conv2d",
        lambda g: (_given(g, B, c_i, n, n), g.weight("weight", c_o, c_i, 3, 3)),
        named={"stride": 2, "padding": 1},
        macs=B * c_o * c_i * 9 * (sp.floor((n - 1) / 2) + 1) ** 2,
        vector_flops=sp.Integer(0),
        reads=(B * c_i * n**2, 9 * c_o * c_i),
        writes=(B * c_o * (sp.floor((n - 1) / 2) + 1) ** 2,),
    ),
    "conv2d_grad": _case(
        "conv2d_grad",
        lambda g: (
            _given(g, B, c_o, n, n, name="dy"),
            g.weight("weight", c_o, c_i, 3, 3),
            _given(g, B, c_i, n, n),
        ),
        named={"macs": 9 * B * c_o * c_i * n**2},
        macs=9 * B * c_o * c_i * n**2,
        vector_flops=sp.Integer(0),
        reads=(B * c_o * n**2, 9 * c_o * c_i),
        writes=(B * c_i * n**2,),
    ),
    # B tokens with k choices each make B k rows; at most E experts are touched.
    "grouped_linear": _case(
        "grouped_linear",
        lambda g: (_given(g, B * k, H), g.weight("weight", E, F, H)),
        named={"experts": CHOSEN},
        macs=B * k * F * H,
        vector_flops=sp.Integer(0),
        reads=(B * k * H, CHOSEN * F * H),
        writes=(B * k * F,),
    ),
    "grouped_grad": _case(
        "grouped_grad",
        lambda g: (_given(g, B * k, F, name="dy"), _given(g, B * k, H)),
        named={"shape": (E, F, H), "experts": CHOSEN},
        macs=B * k * F * H,
        vector_flops=sp.Integer(0),
        reads=(B * k * F, B * k * H),
        writes=(CHOSEN * F * H,),
    ),
}

ELEMENTWISE = {
    "add": _case(
        "add",
        lambda g: (_given(g, B, S, H), _given(g, S, 1, name="y")),
        vector_flops=B * S * H,
        reads=(B * S * H, S),
        writes=(B * S * H,),
    ),
    "mul": _case(
        "mul",
        lambda g: (_given(g, B, 1, H), _given(g, S, 1, name="y")),
        vector_flops=B * S * H,
        reads=(B * H, S),
        writes=(B * S * H,),
    ),
    "cast": _case(
        "cast",
        lambda g: (_given(g, B, S),),
        named={"width": FLOAT32_WIDTH},
        vector_flops=sp.Integer(0),
        reads=(B * S,),
        writes=(B * S,),
    ),
    **{
        name: _unary(name, flops)
        for name, flops in {
            "neg": 1,
            "scale": 1,
            "square": 1,  # x * x
            "rsqrt": 1,
            "cos": 1,
            "sin": 1,
            "sigmoid": 4,  # 1 / (1 + exp(-x))
            "silu": 5,  # x * sigmoid(x)
            "gelu": 5,  # x * (1 + erf(x / sqrt 2)) / 2
        }.items()
    },
    **{
        f"{name}_backward": _unary_backward(name, flops, saves=False)
        for name, flops in {"neg": 1, "scale": 1}.items()
    },
    **{
        f"{name}_backward": _unary_backward(name, flops, saves=True)
        for name, flops in {
            "square": 2,  # dy * 2 * x
            "rsqrt": 4,  # dy * (-1/2) * y * y * y
            "cos": 3,  # dy * -(sin x)
            "sin": 2,  # dy * cos x
            "sigmoid": 3,  # dy * y * (1 - y)
            "silu": 9,  # dy * s * (1 + x * (1 - s)) with s = sigmoid(x) for 4
            "gelu": 11,  # cdf for 4, density for 4, density * x, sum, times dy
        }.items()
    },
}

REDUCTIONS = {
    "mean": _case(
        "mean",
        lambda g: (_given(g, B, S, H),),
        vector_flops=B * S * H,
        reads=(B * S * H,),
        writes=(B * S,),
    ),
    "sum_to": _case(
        "sum_to",
        lambda g: (_given(g, B, S, H),),
        named={"shape": (H,)},
        vector_flops=B * S * H,
        reads=(B * S * H,),
        writes=(H,),
    ),
    "softmax": _case(
        "softmax",
        lambda g: (_given(g, B, S, N),),
        named={"width": FLOAT32_WIDTH},
        vector_flops=5 * B * S * N,  # maximum, subtract, exp, sum, divide
        reads=(B * S * N,),
        writes=(B * S * N,),
    ),
    "softmax_backward": _case(
        "softmax_backward",
        lambda g: (_given(g, B, S, N, name="dy"), _given(g, B, S, N)),
        vector_flops=4 * B * S * N,  # dy * y, sum, dy - sum, times y
        reads=(B * S * N, B * S * N),
        writes=(B * S * N,),
    ),
    "layer_norm": _case(
        "layer_norm",
        lambda g: (_given(g, B, S, H), g.weight("weight", H), g.weight("bias", H)),
        vector_flops=7 * B * S * H,  # sum, subtract, square, sum, times rsqrt, weight, bias
        reads=(B * S * H, H, H),
        writes=(B * S * H,),
        scratch=(sp.Integer(0), 2 * B * S * 4),  # mean and deviation of each row, in float32
    ),
    "layer_norm_backward": _case(
        "layer_norm_backward",
        lambda g: (_given(g, B, S, H, name="dy"), _given(g, B, S, H), g.weight("weight", H)),
        vector_flops=10 * B * S * H,
        reads=(B * S * H, B * S * H, H),
        writes=(B * S * H,),
    ),
    "layer_norm_grad_parameters": _case(
        "layer_norm_grad_parameters",
        lambda g: (_given(g, B, S, H, name="dy"), _given(g, B, S, H)),
        vector_flops=4 * B * S * H,
        reads=(B * S * H, B * S * H),
        writes=(H,),
    ),
}

MOVEMENT = {
    "copy": _case(
        "copy",
        lambda g: (_given(g, B, S, H),),
        vector_flops=sp.Integer(0),
        reads=(B * S * H,),
        writes=(B * S * H,),
    ),
    "arange": _case(
        "arange",
        lambda _: (n, M),
        vector_flops=sp.Integer(0),
        reads=(),
        writes=(n * M,),
    ),
    "index_arithmetic": _case(
        "index_arithmetic",
        lambda g: (_ids(g, n, 1), _ids(g, 1, M)),
        named={"width": FLOAT32_WIDTH},
        vector_flops=sp.Integer(0),
        reads=(n, M),
        writes=(n * M,),
    ),
    "pad": _case(
        "pad",
        lambda g: (_given(g, B, n, n, H),),
        named={"shape": (B, n + M, n + M, H)},
        vector_flops=sp.Integer(0),
        reads=(B * n**2 * H,),
        writes=(B * (n + M) ** 2 * H,),
    ),
    # Only the corner that is kept is read.
    "crop": _case(
        "crop",
        lambda g: (_given(g, B, n + M, n + M, H),),
        named={"shape": (B, n, n, H)},
        vector_flops=sp.Integer(0),
        reads=(B * n**2 * H,),
        writes=(B * n**2 * H,),
    ),
    "slice_backward": _case(
        "slice_backward",
        lambda g: (_given(g, B, 1, H, name="dy"),),
        named={"shape": (B, S, H)},
        vector_flops=sp.Integer(0),
        reads=(B * H,),
        writes=(B * S * H,),
    ),
    "concat": _case(
        "concat",
        lambda g: (_given(g, B, S, H), _given(g, B, N, H, name="y")),
        named={"dim": 1},
        vector_flops=sp.Integer(0),
        reads=(B * S * H, B * N * H),
        writes=(B * (S + N) * H,),
    ),
    # Of the table only the rows of the B S ids are read, whatever the vocabulary.
    "embedding": _case(
        "embedding",
        lambda g: (g.weight("table", V, H), _ids(g, B, S)),
        vector_flops=sp.Integer(0),
        reads=(B * S * H, B * S),
        writes=(B * S * H,),
    ),
    "gather": _case(
        "gather",
        lambda g: (_given(g, N, H), _ids(g, B, k)),
        vector_flops=sp.Integer(0),
        reads=(N * H, B * k),
        writes=(B * k * H,),
    ),
    "scatter": _case(
        "scatter",
        lambda g: (_given(g, B * k, H), _ids(g, B, k)),
        named={"shape": (N, H)},
        vector_flops=sp.Integer(0),
        reads=(B * k * H, B * k),
        writes=(N * H,),
    ),
    "mask": _case(
        "mask",
        lambda g: (_given(g, B, S, H), _ids(g, B, S)),
        vector_flops=sp.Integer(0),
        reads=(B * S * H, B * S),
        writes=(B * S * H,),
    ),
    "masked_scatter_backward": _case(
        "masked_scatter_backward",
        lambda g: (_given(g, B, S, H), _ids(g, B, S)),
        named={"shape": (B, N, H)},
        vector_flops=sp.Integer(0),
        reads=(B * N * H, B * S),
        writes=(B * N * H,),
    ),
    "masked_scatter": _case(
        "masked_scatter",
        lambda g: (_given(g, B, S, H), _given(g, B, N, H, name="values"), _ids(g, B, S)),
        vector_flops=sp.Integer(0),
        reads=(B * S * H, B * N * H, B * S),
        writes=(B * S * H,),
    ),
    "interpolate_bicubic": _case(
        "interpolate_bicubic",
        lambda g: (g.weight("table", 1, n_0, n_0, H),),
        named={"shape": (sp.Integer(1), n, n, H), "needed": sp.Integer(1)},
        vector_flops=32 * n**2 * H,  # 16 neighbours, multiply and add
        reads=(n_0**2 * H,),
        writes=(n**2 * H,),
        scratch=(4 * (n_0**2 + n**2) * H,) * 2,  # the table and what comes of it in float32
    ),
    "interpolate_linear": _case(
        "interpolate_linear",
        lambda g: (g.weight("table", n_0, D),),
        named={"shape": (n, D), "needed": sp.Integer(1)},
        vector_flops=4 * n * D,  # 2 neighbours, multiply and add
        reads=(n_0 * D,),
        writes=(n * D,),
    ),
    "interpolate_bicubic where needed": _case(
        "interpolate_bicubic",
        lambda g: (g.weight("table", 1, n_0, n_0, H),),
        named={"shape": (sp.Integer(1), n, n, H), "needed": differs(n, n_0)},
        vector_flops=32 * n**2 * H * sp.Min(1, sp.Abs(n - n_0)),
        reads=(n_0**2 * H * sp.Min(1, sp.Abs(n - n_0)),),
        writes=(n**2 * H * sp.Min(1, sp.Abs(n - n_0)),),
        scratch=(4 * (n_0**2 + n**2) * H * sp.Min(1, sp.Abs(n - n_0)),) * 2,
        bends={n: INDICATOR, n_0: INDICATOR},
    ),
    "interpolate_backward": _case(
        "interpolate_backward",
        lambda g: (_given(g, 1, n, n, H, name="dy"),),
        named={"shape": (sp.Integer(1), n_0, n_0, H), "needed": sp.Integer(1)},
        vector_flops=32 * n**2 * H,
        reads=(n**2 * H,),
        writes=(n_0**2 * H,),
    ),
}

ROUTING = {
    "top_k": _case(
        "top_k",
        lambda g: (_given(g, B, E),),
        named={"count": k},
        vector_flops=B * E,
        reads=(B * E,),
        writes=(B * k, B * k),  # scores and their positions
        legal=lambda point: point[k] <= point[E],
    ),
    # The expert of each pair is read; its token and its place among the token's are written.
    "sort_by_expert": _case(
        "sort_by_expert",
        lambda g: (_ids(g, B, k),),
        named={"experts": E, "hit": CHOSEN},
        vector_flops=sp.Integer(0),
        reads=(B * k,),
        writes=(B * k, B * k),
        # A mask of E + 1 numbers for each pair is made, filled and summed up; the sums are compared
        # and searched; then each expert that is hit is looked up and its part of the mask searched.
        scratch=(
            16 * B * k * (E + 1) + 8 * B * k * (1 + CHOSEN) + 9 * (E + 1) + 16 + 33 * CHOSEN,
            16 * B * k * (E + 1) + 9 * (E + 1) + 16 + 9 * CHOSEN,
        ),
    ),
    # Each token's row is read once; as a copy for each of its k experts it is written.
    "dispatch": _case(
        "dispatch",
        lambda g: (_given(g, B, H), _ids(g, B * k)),
        vector_flops=sp.Integer(0),
        reads=(B * H, B * k),
        writes=(B * k * H,),
        scratch=((B * k - B) * H * w_a, sp.Integer(0)),  # a row again for each further expert
    ),
    # Beside the rows of all pairs, the weight of each and where it is: by token and place.
    "weigh": _case(
        "weigh",
        lambda g: (
            _given(g, B * k, H),
            _given(g, B, k, name="weights"),
            _ids(g, B, k),
            _ids(g, B, k),
        ),
        vector_flops=B * k * H,
        reads=(B * k * H, B * k, B * k, B * k),
        writes=(B * k * H,),
        scratch=(B * k * w_a + 4 * B * k * H,) * 2,  # weights looked up; the product in float32
    ),
    "combine": _case(
        "combine",
        lambda g: (_given(g, B * k, H), _ids(g, B, k)),
        vector_flops=B * k * H,
        reads=(B * k * H, B * k),
        writes=(B * H,),
        scratch=(B * k * H * w_a,) * 2,  # the sums, a row for each pair
    ),
}

CACHE = {
    # The reference copies what is cached and writes what is new behind it.
    "cache_append": Case(
        _append,
        vector_flops=sp.Integer(0),
        reads=(B * N_kv * K * D, B * N_kv * S * D),
        writes=(B * N_kv * K * D, B * N_kv * S * D),
        operator="cache_append",
    ),
}

OPERATOR_CASES: dict[str, Case] = (
    CONTRACTIONS | ELEMENTWISE | REDUCTIONS | MOVEMENT | ROUTING | CACHE
)
