"""The vision tower: SAM-B, CLIP-L on SAM's features, and the projector."""

from __future__ import annotations

from symcost.graph import Graph, Scope
from symcost.layers.attention import relative_attention, self_attention
from symcost.layers.kernels import ADD_LAYER_NORM, LINEAR_WITH_RESIDUAL
from symcost.layers.linear import convolution, dense, patch_embedding
from symcost.layers.mlp import gelu_mlp, quick_gelu_mlp
from symcost.layers.norm import norm, norm_2d
from symcost.layers.position import absolute_grid
from symcost.layers.window import partition, unpartition
from symcost.models.deepseek_ocr.config import ClipConfig, DeepseekOCRConfig, SamConfig
from symcost.models.deepseek_ocr.geometry import Views
from symcost.models.deepseek_ocr.reference import Reference
from symcost.operators import add, concat
from symcost.paths import indexes
from symcost.symbols import B, Size
from symcost.tensor import Tensor

PARTS = {
    "sam": ("model.vision_tower.sam_encoder",),
    "clip": ("model.vision_tower.vision_encoder", "model.vision_tower.concat_features"),
    "projector": ("model.multi_modal_projector",),
}
"""The stage map of the static analyzer: which module paths make up each part of vision."""


def vision(config: DeepseekOCRConfig, reference: Reference, views: Views) -> Graph:
    """The graph of the global view of B pages and, where there are crops, of all their tiles."""
    graph = Graph()
    g = graph.root / "model"
    side = views.base_size
    pixels = graph.input("pixel_values", B, 3, side, side, differentiable=False)
    graph.output(_projected(g, config, reference, pixels))
    tiles, side = B * views.crops, views.tile_size
    if views.crops != 0:
        pixels = graph.input("pixel_values_local", tiles, 3, side, side, differentiable=False)
        graph.output(_projected(g.when(views.crops), config, reference, pixels))
    return graph


def _projected(g: Scope, config: DeepseekOCRConfig, reference: Reference, pixels: Tensor) -> Tensor:
    tower = g / "vision_tower"
    features = sam_encoder(tower / "sam_encoder", config.sam, reference, pixels)
    batch, channels, side, _ = features.shape
    encoded = clip_encoder(tower / "vision_encoder", config.clip, reference, features)
    by_patch = features.reshape(batch, channels, side**2).transposed
    both = concat(tower / "concat_features", _without_class(encoded, side), by_patch, dim=-1)
    g.holds(both)
    return dense(g / "multi_modal_projector", both, config.decoder.hidden, bias=True)


def _without_class(encoded: Tensor, side: Size) -> Tensor:
    return encoded.slice(1, 1, side**2)


def sam_encoder(g: Scope, config: SamConfig, reference: Reference, pixels: Tensor) -> Tensor:
    """SAM's image encoder with its neck and two convolutions of stride 2: (b, 1024, q, q)."""
    patches = patch_embedding(g / "patch_embed", pixels, config.hidden, patch=config.patch)
    side, trained = patches.shape[1], config.image_side // config.patch
    table = g.weight("pos_embed", 1, trained, trained, config.hidden)
    x = add(g / "add_positions", patches, absolute_grid(g / "pos_embed", table, side))

    windowed = [i for i in range(config.layers) if i not in config.global_layers]
    for layers, window in ((windowed, config.window), (list(config.global_layers), None)):
        if layers:
            at = g.repeat(f"layers.{indexes(layers)}", len(layers))
            x = sam_layer(at, config, reference, at.enter(x), window=window)

    neck = g / "neck"
    x = convolution(neck / "conv1", x.permute(0, 3, 1, 2), config.neck, kernel=1)
    x = norm_2d(neck / "layer_norm1", x)
    x = convolution(neck / "conv2", x, config.neck, kernel=3, padding=1)
    x = norm_2d(neck / "layer_norm2", x)
    for name, channels in zip(("conv1", "conv2"), config.downsample, strict=True):
        x = convolution(g / "proj" / name, x, channels, kernel=3, stride=2, padding=1)
    return x


def sam_layer(
    g: Scope, config: SamConfig, reference: Reference, x: Tensor, *, window: int | None
) -> Tensor:
    """A layer of SAM that attends within windows, or to the whole grid where there is none."""
    side = x.shape[1]
    attended = norm(g / "layer_norm1", x)
    if window is not None:
        attended = partition(g / "window_partition", attended, window)
    attended = relative_attention(
        g / "attn",
        attended,
        heads=config.heads,
        trained_side=window or config.image_side // config.patch,
        always_resize=reference.resizes_relative_positions_always,
    )
    if window is not None:
        attended = unpartition(g / "window_unpartition", attended, side)
    at = g.fused(ADD_LAYER_NORM)
    x = add(at / "add_attention", x, attended)
    normed = norm(at / "layer_norm2", x)
    at = g.fused(LINEAR_WITH_RESIDUAL)
    hidden = gelu_mlp(g / "mlp", normed, config.mlp, kernel=at.kernel)
    return add(at / "add_mlp", x, hidden)


def clip_encoder(g: Scope, config: ClipConfig, reference: Reference, features: Tensor) -> Tensor:
    """CLIP's encoder on SAM's features (b, h, q, q), with a class token: (b, q² + 1, h)."""
    batch, channels, side, _ = features.shape
    at = g / "embeddings"
    if reference.stores_clip_patch_embedding:
        at.weight("patch_embedding.weight", config.hidden, 3, config.patch, config.patch)
    class_token = at.weight("class_embedding", config.hidden)
    trained = config.image_side // config.patch
    tokens = concat(
        at / "class_token",
        class_token.reshape(1, 1, config.hidden).expand(batch, 1, config.hidden),
        features.reshape(batch, channels, side**2).transposed,
        dim=1,
    )
    table = at.weight("position_embedding.weight", trained**2 + 1, config.hidden)
    of_class, of_patches = table.split(0, 1, trained**2)
    grid = absolute_grid(at, of_patches.reshape(1, trained, trained, config.hidden), side)
    positions = concat(
        at / "position_table",
        of_class.reshape(1, 1, config.hidden),
        grid.reshape(1, side**2, config.hidden),
        dim=1,
    )
    x = norm(g / "pre_layrnorm", add(at / "add_positions", tokens, positions))
    layers = list(range(config.layers))
    at = g.repeat(f"encoder.layers.{indexes(layers)}", len(layers))
    return clip_layer(at, config, at.enter(x))


def clip_layer(g: Scope, config: ClipConfig, x: Tensor) -> Tensor:
    """A layer of CLIP: attention and MLP, each behind a norm."""
    attended = self_attention(g / "self_attn", norm(g / "layer_norm1", x), heads=config.heads)
    at = g.fused(ADD_LAYER_NORM)
    x = add(at / "add_attention", x, attended)
    normed = norm(at / "layer_norm2", x)
    at = g.fused(LINEAR_WITH_RESIDUAL)
    hidden = quick_gelu_mlp(g / "mlp", normed, config.mlp, kernel=at.kernel)
    return add(at / "add_mlp", x, hidden)
