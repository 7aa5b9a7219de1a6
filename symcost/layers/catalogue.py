"""Every layer in its general form: run on architecture symbols instead of a model's numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symcost.display import Displayed, Sheet
from symcost.graph import Graph, Scope
from symcost.layers.attention import cached_attention, relative_attention, self_attention
from symcost.layers.embedding import image_sequence, token_embedding
from symcost.layers.head import head
from symcost.layers.linear import convolution, dense, patch_embedding
from symcost.layers.mlp import gated_mlp, gelu_mlp, quick_gelu_mlp
from symcost.layers.moe import routed_experts, router
from symcost.layers.norm import norm, rms_norm
from symcost.layers.position import absolute_grid, rotary_tables
from symcost.layers.window import partition, unpartition
from symcost.symbols import (
    CROPS,
    FLOAT32_WIDTH,
    INDEX_WIDTH,
    B,
    D,
    E,
    F,
    H,
    K,
    M,
    N,
    N_h,
    N_kv,
    P,
    S,
    Size,
    U,
    V,
    X,
    c_i,
    c_o,
    floor_div,
    k,
    n,
    n_0,
    n_h,
    n_w,
    q,
    q_t,
    w_a,
)
from symcost.tensor import Tensor


@dataclass(frozen=True)
class GeneralLayer(Displayed):
    """A layer run on symbols.

    Parameters
    ----------
    title : str
        What it is called.
    sizes : str
        Which of a model's sizes its symbols stand for: "patches", "sam", "neck", "clip",
        "projector", "decoder" or "experts"; "none" for a layer that the model has not.
    shape : str
        What goes in and comes out.
    run : callable
        Runs the layer at the root scope of an empty graph.
    """

    title: str
    sizes: str
    shape: str
    run: Callable[[Scope], Tensor]

    def graph(self) -> Graph:
        """The graph of the general form."""
        graph = Graph()
        graph.output(self.run(graph.root))
        return graph

    def sheet(self) -> Sheet:
        """What notebooks show: the operators of the general form."""
        return Sheet(self.title, self.graph().sheet().tables, [self.shape])


def _input(g: Scope, *shape: Size) -> Tensor:
    return g.graph.input("x", *shape)


def _windowed_attention(g: Scope) -> Tensor:
    windows = partition(g / "window_partition", _input(g, X, n, n, H), M)
    attended = relative_attention(
        g / "attn", windows, heads=N_h, trained_side=M, always_resize=False
    )
    return unpartition(g / "window_unpartition", attended, n)


def _global_attention(g: Scope) -> Tensor:
    x = _input(g, X, n, n, H)
    return relative_attention(g / "attn", x, heads=N_h, trained_side=n_0, always_resize=False)


def _positions(g: Scope) -> Tensor:
    return absolute_grid(g, g.weight("table", 1, n_0, n_0, H), n)


def _rotary_tables(g: Scope) -> Tensor:
    positions = g.graph.input("position_ids", 1, S, width=INDEX_WIDTH, differentiable=False)
    frequencies = g.graph.input(
        "inv_freq", floor_div(D, 2), width=FLOAT32_WIDTH, differentiable=False
    )
    cosines, sines = rotary_tables(g, positions, frequencies, by_matmul=True, width=w_a)
    g.graph.output(cosines)
    return sines


def _decoder_attention(g: Scope, kv_heads: Size) -> Tensor:
    tables = (g.graph.input(name, 1, S, D, differentiable=False) for name in ("cos", "sin"))
    return cached_attention(
        g / "self_attn",
        _input(g, B, S, H),
        *tables,
        cached=K,
        heads=N_h,
        kv_heads=kv_heads,
        head_size=D,
    )


def _router(g: Scope) -> Tensor:
    weights, numbers = router(g / "gate", _input(g, B * S, H), experts=E, chosen=k)
    g.graph.output(numbers)
    return weights


def _experts(g: Scope) -> Tensor:
    weights = g.graph.input("weights", B * S, k, width=FLOAT32_WIDTH)
    numbers = g.graph.input("numbers", B * S, k, width=INDEX_WIDTH, differentiable=False)
    x = _input(g, B * S, H)
    return routed_experts(g / "experts", x, weights, numbers, experts=E, touched=U, features=F)


def _image_sequence(g: Scope) -> Tensor:
    return image_sequence(
        g,
        g.graph.input("global features", B, q, q, H),
        g.graph.input("tile features", B, n_h, n_w, q_t, q_t, H),
        columns=n_w,
        rows=n_h,
        condition=CROPS,
    )


def _embedding(g: Scope) -> Tensor:
    ids = g.graph.input("ids", B, S, width=INDEX_WIDTH, differentiable=False)
    return token_embedding(g / "embed_tokens", ids, vocabulary=V, features=H)


GENERAL_LAYERS: tuple[GeneralLayer, ...] = (
    GeneralLayer(
        "Patch embedding",
        "patches",
        "X views of nP × nP pixels and c_i channels to n × n patches of H features",
        lambda g: patch_embedding(g / "patch_embed", _input(g, X, c_i, n * P, n * P), H, patch=P),
    ),
    GeneralLayer(
        "Absolute positions", "sam", "A table for n_0 × n_0 patches, for n × n of them", _positions
    ),
    GeneralLayer(
        "LayerNorm",
        "sam",
        "X views of N tokens of H features",
        lambda g: norm(g / "norm", _input(g, X, N, H)),
    ),
    GeneralLayer(
        "SAM attention in windows",
        "sam",
        "X views of n × n patches, attending within windows of M × M; the grid is padded to "
        "⌈n/M⌉ windows a side",
        _windowed_attention,
    ),
    GeneralLayer(
        "SAM global attention",
        "sam",
        "X views of n × n patches, each attending to all; tables trained for n_0 × n_0",
        _global_attention,
    ),
    GeneralLayer(
        "SAM MLP (GELU)",
        "sam",
        "X views of n × n patches",
        lambda g: gelu_mlp(g / "mlp", _input(g, X, n, n, H), F),
    ),
    GeneralLayer(
        "Convolution of the neck, 3 × 3",
        "neck",
        "X views of n × n patches, c_i to c_o channels",
        lambda g: convolution(g / "conv", _input(g, X, c_i, n, n), c_o, kernel=3, padding=1),
    ),
    GeneralLayer(
        "CLIP attention",
        "clip",
        "X views of N tokens",
        lambda g: self_attention(g / "self_attn", _input(g, X, N, H), heads=N_h),
    ),
    GeneralLayer(
        "CLIP MLP (QuickGELU)",
        "clip",
        "X views of N tokens",
        lambda g: quick_gelu_mlp(g / "mlp", _input(g, X, N, H), F),
    ),
    GeneralLayer(
        "Projector",
        "projector",
        "X views of N tokens, c_i to c_o features",
        lambda g: dense(g / "projector", _input(g, X, N, c_i), c_o, bias=True),
    ),
    GeneralLayer(
        "Token embedding", "decoder", "B sequences of S tokens from a vocabulary of V", _embedding
    ),
    GeneralLayer(
        "Image features as a sequence",
        "decoder",
        "A global view of q × q features and n_w × n_h tiles of q_t × q_t, with newlines and a "
        "separator",
        _image_sequence,
    ),
    GeneralLayer(
        "RMSNorm",
        "decoder",
        "B sequences of S tokens",
        lambda g: rms_norm(g / "norm", _input(g, B, S, H)),
    ),
    GeneralLayer(
        "Rotary tables (vendor)", "decoder", "S positions, heads of size D", _rotary_tables
    ),
    GeneralLayer(
        "Decoder attention",
        "decoder",
        "S new tokens of B sequences on K cached ones; each head has keys and values of its own",
        lambda g: _decoder_attention(g, N_h),
    ),
    GeneralLayer(
        "Decoder attention with grouped queries",
        "none",
        "The same, where N_h heads share N_kv keys and values; DeepSeek-OCR does not",
        lambda g: _decoder_attention(g, N_kv),
    ),
    GeneralLayer(
        "Gated MLP (SwiGLU)",
        "decoder",
        "B sequences of S tokens; the dense layer, and the shared experts as one",
        lambda g: gated_mlp(g / "mlp", _input(g, B, S, H), F),
    ),
    GeneralLayer("Router", "experts", "B·S tokens choose k of E experts", _router),
    GeneralLayer(
        "Routed experts", "experts", "B·S tokens, each through k of E gated MLPs", _experts
    ),
    GeneralLayer(
        "Language model head",
        "decoder",
        "B sequences of S tokens",
        lambda g: head(g / "lm_head", _input(g, B, S, H), vocabulary=V, last_only=False),
    ),
)
"""The layers in the order in which DeepSeek-OCR runs them."""
