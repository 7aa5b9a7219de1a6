"""The decoder: embedding with the image taken in, twelve layers, and the head."""

from __future__ import annotations

from symcost.graph import Graph, Scope
from symcost.layers.attention import cached_attention
from symcost.layers.embedding import image_sequence, take_in, token_embedding
from symcost.layers.head import head as lm_head
from symcost.layers.kernels import ADD_RMS_NORM, LINEAR_WITH_RESIDUAL
from symcost.layers.mlp import gated_mlp
from symcost.layers.moe import mixture_of_experts
from symcost.layers.norm import rms_norm
from symcost.layers.position import rotary_tables
from symcost.models.deepseek_ocr.config import DecoderConfig
from symcost.models.deepseek_ocr.geometry import Views, queries
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE, Parallel
from symcost.models.deepseek_ocr.reference import Reference
from symcost.operators import add
from symcost.paths import indexes
from symcost.symbols import FLOAT32_WIDTH, INDEX_WIDTH, B, K, S, U, w_a
from symcost.tensor import Tensor


def decoder(
    config: DecoderConfig,
    reference: Reference,
    views: Views | None,
    parallel: Parallel = ONE_DEVICE,
) -> Graph:
    """The graph of S tokens for each of B sequences on K cached ones, up to the final norm.

    Parameters
    ----------
    views : Views, optional
        The page whose features take the places of image tokens; none for text alone, and for
        every decode step.
    parallel : Parallel
        How many devices share the layers; the graph is that of one of them.
    """
    graph = Graph()
    g = graph.root / "model"
    language = g / "language_model"
    ids = graph.input("input_ids", B, S, width=INDEX_WIDTH, differentiable=False)
    x = token_embedding(
        language / "embed_tokens",
        ids,
        vocabulary=parallel.share(config.vocabulary),
        features=config.hidden,
    )
    if views is not None:
        features = _image(g, config, views)
        x = take_in(g / "take_in_image", x, features, ids)
        g.holds(features)
    g.holds(x)

    positions = graph.input("position_ids", 1, S, width=INDEX_WIDTH, differentiable=False)
    frequencies = graph.input(
        "inv_freq", config.head_size // 2, width=FLOAT32_WIDTH, differentiable=False
    )
    rotary = None
    if not reference.rotary_matmul_in_every_layer:
        rotary = rotary_tables(
            language / "rotary_emb", positions, frequencies, by_matmul=False, width=w_a
        )
        language.holds(*rotary)
    for first, last in ((0, config.dense_layers), (config.dense_layers, config.layers)):
        if first < last:
            at = language.repeat(f"layers.{indexes(list(range(first, last)))}", last - first)
            tables = rotary or rotary_tables(
                at / "self_attn" / "rotary_emb", positions, frequencies, by_matmul=True, width=w_a
            )
            routed = first >= config.dense_layers
            x = decoder_layer(at, config, at.enter(x), *tables, parallel, routed=routed)
    graph.output(rms_norm(language / "norm", x))
    return graph


def _image(g: Scope, config: DecoderConfig, views: Views) -> Tensor:
    q, t = queries(views.base_size), queries(views.tile_size)
    graph, columns, rows = g.graph, views.columns, views.rows
    whole = graph.input("global features", B, q, q, config.hidden)
    tiles = graph.input("tile features", B, rows, columns, t, t, config.hidden)
    return image_sequence(g, whole, tiles, columns=columns, rows=rows, condition=views.crops)


def decoder_layer(
    g: Scope,
    config: DecoderConfig,
    x: Tensor,
    cosines: Tensor,
    sines: Tensor,
    parallel: Parallel = ONE_DEVICE,
    *,
    routed: bool,
) -> Tensor:
    """A decoder layer: attention, then a gated MLP or routed experts, each behind an RMSNorm."""
    attended = cached_attention(
        g / "self_attn",
        rms_norm(g / "input_layernorm", x),
        cosines,
        sines,
        cached=K,
        heads=parallel.share(config.heads),
        kv_heads=parallel.share(config.kv_heads),
        head_size=config.head_size,
    )
    at = g.fused(ADD_RMS_NORM)
    x = add(at / "add_attention", x, attended)
    normed = rms_norm(at / "post_attention_layernorm", x)
    at = g.fused(LINEAR_WITH_RESIDUAL)
    if routed:
        hidden = mixture_of_experts(
            g / "mlp",
            normed,
            experts=config.experts,
            chosen=config.experts_per_token,
            touched=U,
            features=parallel.share(config.expert_mlp),
            shared_features=parallel.share(config.shared_experts * config.expert_mlp),
            held=parallel.held(config.experts),
            kernel=at.kernel,
        )
    else:
        hidden = gated_mlp(g / "mlp", normed, parallel.share(config.mlp), kernel=at.kernel)
    return add(at / "add_mlp", x, hidden)


def head(config: DecoderConfig, parallel: Parallel = ONE_DEVICE, last_only: bool = False) -> Graph:
    """The graph of the language model head on the hidden states of B sequences of S tokens."""
    graph = Graph()
    hidden = graph.input("hidden states", B, S, config.hidden)
    vocabulary = parallel.share(config.vocabulary)
    graph.output(
        lm_head(graph.root / "lm_head", hidden, vocabulary=vocabulary, last_only=last_only)
    )
    return graph
