"""Every registered operator over symbols, and what it costs, counted by hand.

Vector FLOPs are the documented number per element times the elements; traffic is what is touched,
in elements.
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
        read=size,
        written=size,
    )


def _unary_backward(name: str, flops: int, *, saves: bool) -> Case:
    """The gradient of an operator that saves its input or its result for it, or nothing."""
    size = B * S * H
    given = ("dy", "saved") if saves else ("dy",)
    return _case(
        f"{name}_backward",
        lambda g: tuple(_given(g, B, S, H, name=each) for each in given),
        vector_flops=flops * size,
        read=len(given) * size,
        written=size,
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
        read=B * S * H + F * H + F,
        written=B * S * F,
    ),
    "linear without bias": _case(
        "linear",
        lambda g: (_given(g, B, S, H), g.weight("weight", F, H)),
        macs=B * S * H * F,
        vector_flops=sp.Integer(0),
        read=B * S * H + F * H,
        written=B * S * F,
    ),
    "matmul": _case(
        "matmul",
        lambda g: (_given(g, B, N_h, S, D), _given(g, B, N_h, D, N, name="y")),
        macs=B * N_h * S * D * N,
        vector_flops=sp.Integer(0),
        read=B * N_h * D * (S + N),
        written=B * N_h * S * N,
    ),
    "einsum": _case(
        "einsum",
        lambda g: ("bhwc,hkc->bhwk", _given(g, B, n, M, D), _given(g, n, S, D, name="y")),
        macs=B * n * M * D * S,
        vector_flops=sp.Integer(0),
        read=B * n * M * D + n * S * D,
        written=B * n * M * S,
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
        read=B * c_i * I_g**2 + c_o * c_i * P**2 + c_o,
        written=B * c_o * sp.floor(I_g / P) ** 2,
        bends={P: PATCHES},
    ),
    # A window of 3 that moves by 2 over n + 2 places fits floor((n - 1) / 2) + 1 times.
    "conv2d with stride 2": _case(
        "conv2d",
        lambda g: (_given(g, B, c_i, n, n), g.weight("weight", c_o, c_i, 3, 3)),
        named={"stride": 2, "padding": 1},
        macs=B * c_o * c_i * 9 * (sp.floor((n - 1) / 2) + 1) ** 2,
        vector_flops=sp.Integer(0),
        read=B * c_i * n**2 + 9 * c_o * c_i,
        written=B * c_o * (sp.floor((n - 1) / 2) + 1) ** 2,
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
        read=B * c_o * n**2 + 9 * c_o * c_i,
        written=B * c_i * n**2,
    ),
    # B tokens with k choices each make B k rows; at most E experts are touched.
    "grouped_linear": _case(
        "grouped_linear",
        lambda g: (_given(g, B * k, H), g.weight("weight", E, F, H)),
        named={"experts": CHOSEN},
        macs=B * k * F * H,
        vector_flops=sp.Integer(0),
        read=B * k * H + CHOSEN * F * H,
        written=B * k * F,
    ),
    "grouped_grad": _case(
        "grouped_grad",
        lambda g: (_given(g, B * k, F, name="dy"), _given(g, B * k, H)),
        named={"shape": (E, F, H), "experts": CHOSEN},
        macs=B * k * F * H,
        vector_flops=sp.Integer(0),
        read=B * k * (F + H),
        written=CHOSEN * F * H,
    ),
}

ELEMENTWISE = {
    "add": _case(
        "add",
        lambda g: (_given(g, B, S, H), _given(g, S, 1, name="y")),
        vector_flops=B * S * H,
        read=B * S * H + S,
        written=B * S * H,
    ),
    "mul": _case(
        "mul",
        lambda g: (_given(g, B, 1, H), _given(g, S, 1, name="y")),
        vector_flops=B * S * H,
        read=B * H + S,
        written=B * S * H,
    ),
    "cast": _case(
        "cast",
        lambda g: (_given(g, B, S),),
        named={"width": FLOAT32_WIDTH},
        vector_flops=sp.Integer(0),
        read=B * S,
        written=B * S,
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
        read=B * S * H,
        written=B * S,
    ),
    "sum_to": _case(
        "sum_to",
        lambda g: (_given(g, B, S, H),),
        named={"shape": (H,)},
        vector_flops=B * S * H,
        read=B * S * H,
        written=H,
    ),
    "softmax": _case(
        "softmax",
        lambda g: (_given(g, B, S, N),),
        named={"width": FLOAT32_WIDTH},
        vector_flops=5 * B * S * N,  # maximum, subtract, exp, sum, divide
        read=B * S * N,
        written=B * S * N,
    ),
    "softmax_backward": _case(
        "softmax_backward",
        lambda g: (_given(g, B, S, N, name="dy"), _given(g, B, S, N)),
        vector_flops=4 * B * S * N,  # dy * y, sum, dy - sum, times y
        read=2 * B * S * N,
        written=B * S * N,
    ),
    "layer_norm": _case(
        "layer_norm",
        lambda g: (_given(g, B, S, H), g.weight("weight", H), g.weight("bias", H)),
        vector_flops=7 * B * S * H,  # sum, subtract, square, sum, times rsqrt, weight, bias
        read=B * S * H + 2 * H,
        written=B * S * H,
    ),
    "layer_norm_backward": _case(
        "layer_norm_backward",
        lambda g: (_given(g, B, S, H, name="dy"), _given(g, B, S, H), g.weight("weight", H)),
        vector_flops=10 * B * S * H,
        read=2 * B * S * H + H,
        written=B * S * H,
    ),
    "layer_norm_grad_parameters": _case(
        "layer_norm_grad_parameters",
        lambda g: (_given(g, B, S, H, name="dy"), _given(g, B, S, H)),
        vector_flops=4 * B * S * H,
        read=2 * B * S * H,
        written=H,
    ),
}

MOVEMENT = {
    "copy": _case(
        "copy",
        lambda g: (_given(g, B, S, H),),
        vector_flops=sp.Integer(0),
        read=B * S * H,
        written=B * S * H,
    ),
    "arange": _case(
        "arange",
        lambda _: (n, M),
        vector_flops=sp.Integer(0),
        read=sp.Integer(0),
        written=n * M,
    ),
    "index_arithmetic": _case(
        "index_arithmetic",
        lambda g: (_ids(g, n, 1), _ids(g, 1, M)),
        named={"width": FLOAT32_WIDTH},
        vector_flops=sp.Integer(0),
        read=n + M,
        written=n * M,
    ),
    "pad": _case(
        "pad",
        lambda g: (_given(g, B, n, n, H),),
        named={"shape": (B, n + M, n + M, H)},
        vector_flops=sp.Integer(0),
        read=B * n**2 * H,
        written=B * (n + M) ** 2 * H,
    ),
    # Only the corner that is kept is read.
    "crop": _case(
        "crop",
        lambda g: (_given(g, B, n + M, n + M, H),),
        named={"shape": (B, n, n, H)},
        vector_flops=sp.Integer(0),
        read=B * n**2 * H,
        written=B * n**2 * H,
    ),
    "slice_backward": _case(
        "slice_backward",
        lambda g: (_given(g, B, 1, H, name="dy"),),
        named={"shape": (B, S, H)},
        vector_flops=sp.Integer(0),
        read=B * H,
        written=B * S * H,
    ),
    "concat": _case(
        "concat",
        lambda g: (_given(g, B, S, H), _given(g, B, N, H, name="y")),
        named={"dim": 1},
        vector_flops=sp.Integer(0),
        read=B * (S + N) * H,
        written=B * (S + N) * H,
    ),
    # Of the table only the rows of the B S ids are read, whatever the vocabulary.
    "embedding": _case(
        "embedding",
        lambda g: (g.weight("table", V, H), _ids(g, B, S)),
        vector_flops=sp.Integer(0),
        read=B * S * H + B * S,
        written=B * S * H,
    ),
    "gather": _case(
        "gather",
        lambda g: (_given(g, N, H), _ids(g, B, k)),
        vector_flops=sp.Integer(0),
        read=N * H + B * k,
        written=B * k * H,
    ),
    "scatter": _case(
        "scatter",
        lambda g: (_given(g, B * k, H), _ids(g, B, k)),
        named={"shape": (N, H)},
        vector_flops=sp.Integer(0),
        read=B * k * H + B * k,
        written=N * H,
    ),
    "mask": _case(
        "mask",
        lambda g: (_given(g, B, S, H), _ids(g, B, S)),
        vector_flops=sp.Integer(0),
        read=B * S * H + B * S,
        written=B * S * H,
    ),
    "masked_scatter_backward": _case(
        "masked_scatter_backward",
        lambda g: (_given(g, B, S, H), _ids(g, B, S)),
        named={"shape": (B, N, H)},
        vector_flops=sp.Integer(0),
        read=B * N * H + B * S,
        written=B * N * H,
    ),
    "masked_scatter": _case(
        "masked_scatter",
        lambda g: (_given(g, B, S, H), _given(g, B, N, H, name="values"), _ids(g, B, S)),
        vector_flops=sp.Integer(0),
        read=B * (S + N) * H + B * S,
        written=B * S * H,
    ),
    "interpolate_bicubic": _case(
        "interpolate_bicubic",
        lambda g: (g.weight("table", 1, n_0, n_0, H),),
        named={"shape": (sp.Integer(1), n, n, H), "needed": sp.Integer(1)},
        vector_flops=32 * n**2 * H,  # 16 neighbours, multiply and add
        read=n_0**2 * H,
        written=n**2 * H,
    ),
    "interpolate_linear": _case(
        "interpolate_linear",
        lambda g: (g.weight("table", n_0, D),),
        named={"shape": (n, D), "needed": sp.Integer(1)},
        vector_flops=4 * n * D,  # 2 neighbours, multiply and add
        read=n_0 * D,
        written=n * D,
    ),
    "interpolate_bicubic where needed": _case(
        "interpolate_bicubic",
        lambda g: (g.weight("table", 1, n_0, n_0, H),),
        named={"shape": (sp.Integer(1), n, n, H), "needed": differs(n, n_0)},
        vector_flops=32 * n**2 * H * sp.Min(1, sp.Abs(n - n_0)),
        read=n_0**2 * H * sp.Min(1, sp.Abs(n - n_0)),
        written=n**2 * H * sp.Min(1, sp.Abs(n - n_0)),
        bends={n: INDICATOR, n_0: INDICATOR},
    ),
    "interpolate_backward": _case(
        "interpolate_backward",
        lambda g: (_given(g, 1, n, n, H, name="dy"),),
        named={"shape": (sp.Integer(1), n_0, n_0, H), "needed": sp.Integer(1)},
        vector_flops=32 * n**2 * H,
        read=n**2 * H,
        written=n_0**2 * H,
    ),
}

ROUTING = {
    "top_k": _case(
        "top_k",
        lambda g: (_given(g, B, E),),
        named={"count": k},
        vector_flops=B * E,
        read=B * E,
        written=2 * B * k,  # scores and their positions
        legal=lambda point: point[k] <= point[E],
    ),
    "combine": _case(
        "combine",
        lambda g: (_given(g, B * k, H), _ids(g, B, k)),
        vector_flops=B * k * H,
        read=B * k * H + B * k,
        written=B * H,
    ),
}

CACHE = {
    # The reference copies what is cached and writes what is new behind it.
    "cache_append": Case(
        _append,
        vector_flops=sp.Integer(0),
        read=B * N_kv * (K + S) * D,
        written=B * N_kv * (K + S) * D,
        operator="cache_append",
    ),
}

OPERATOR_CASES: dict[str, Case] = (
    CONTRACTIONS | ELEMENTWISE | REDUCTIONS | MOVEMENT | ROUTING | CACHE
)
