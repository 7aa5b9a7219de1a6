"""The real model: the port of DeepSeek-OCR in transformers, and how each stage of it is run.

Source: transformers, models/unlimited_ocr/modeling_unlimited_ocr.py. The model is made at its full
configuration in bf16 on the meta device, where tensors have shapes and no memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias
from unittest import mock

import torch
from transformers import DynamicCache, UnlimitedOcrConfig, UnlimitedOcrForConditionalGeneration

from symcost.models.deepseek_ocr.geometry import Views

Sizes: TypeAlias = Any
"""A size of torch's: an int, or a SymInt where sizes are symbolic."""

FULL_ATTENTION = {"full_attention": None, "reference_sliding_attention": None}
"""The decoder's masks by layer type. Without one every query sees every key, as in DeepSeek-OCR;
the port's own default, a window over reference tokens, is its one difference in cost."""

EXPERTS = "batched_mm"
"""The implementation of the experts whose products the counters see."""


def port(
    config: UnlimitedOcrConfig | None = None,
    *,
    device: str | None = "meta",
    dtype: torch.dtype = torch.bfloat16,
) -> UnlimitedOcrForConditionalGeneration:
    """The real model with attention as separate products and experts that counters see.

    Parameters
    ----------
    config : UnlimitedOcrConfig, optional
        The published sizes unless given.
    device : str or None
        Where parameters lie; None for the device that is current.
    """
    config = UnlimitedOcrConfig() if config is None else config
    config._attn_implementation = "eager"
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device or torch.get_default_device()):
            model = UnlimitedOcrForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    model.set_experts_implementation(EXPERTS)
    model.train(False)
    return model


@contextmanager
def _without_values() -> Iterator[None]:
    """Lets the port run on tensors without values: it would compare a number of image tokens."""
    with mock.patch.dict(os.environ, {"TRANSFORMERS_DISABLE_TORCH_CHECK": "1"}):
        yield


def _like(parameter: torch.Tensor) -> dict[str, Any]:
    return {"device": parameter.device, "dtype": parameter.dtype}


def _pixels(model: Any, count: Sizes, side: Sizes) -> torch.Tensor:
    kernel = model.model.vision_tower.sam_encoder.patch_embed.projection.weight
    return torch.zeros(count, kernel.shape[1], side, side, **_like(kernel))


def run_tower(model: Any, views: Sizes, side: Sizes) -> torch.Tensor:
    """The projected features of so many views of one side, as one call of the vision tower."""
    inner = model.model
    seen = inner.vision_tower(_pixels(model, views, side)).last_hidden_state
    features: torch.Tensor = inner.multi_modal_projector(seen)
    return features


def images(
    model: Any, batch: int, side: Sizes, tile_side: Sizes, columns: Sizes, rows: Sizes
) -> dict[str, Any]:
    """What the port is given of a batch of pages: global views, and tiles where there are any."""
    tiles = columns * rows
    none = isinstance(tiles, int) and tiles == 0
    return {
        "pixel_values": _pixels(model, batch, side),
        "pixel_values_local": None if none else _pixels(model, batch * tiles, tile_side),
        "num_local_patches": [tiles] * batch,
        "patches_grid": [[columns, rows]] * batch,
    }


def images_of(model: Any, batch: int, views: Views | None) -> dict[str, Any]:
    """What the port is given of a batch of pages; nothing for text alone."""
    if views is None:
        return {}
    sizes = (views.base_size, views.tile_size, views.columns, views.rows)
    return images(model, batch, *(int(size) for size in sizes))


def run_towers(model: Any, given: Mapping[str, Any]) -> list[torch.Tensor]:
    """The projected features of all views of images, as the vision tower makes them."""
    calls = (given["pixel_values"], given["pixel_values_local"])
    tower, projector = model.model.vision_tower, model.model.multi_modal_projector
    return [projector(tower(pixels).last_hidden_state) for pixels in calls if pixels is not None]


def run_vision(model: Any, given: Mapping[str, Any]) -> tuple[torch.Tensor, ...]:
    """The features of images, as the decoder takes them in."""
    features = model.model.get_image_features(**given, return_dict=True)
    return tuple(features.pooler_output)


def run_decoder(
    model: Any,
    batch: Sizes,
    tokens: Sizes,
    past: DynamicCache,
    given: Mapping[str, Any] = MappingProxyType({}),
    *,
    last_only: bool = False,
) -> torch.Tensor:
    """Logits of all of so many tokens, or of the last one of each sequence, on what is cached.

    The cache holds the tokens afterwards.

    Parameters
    ----------
    given : mapping of str to Any
        Images that are taken in.
    """
    ids = torch.zeros(batch, tokens, dtype=torch.long, device=model.lm_head.weight.device)
    with _without_values():
        result = model(
            ids,
            **given,
            attention_mask=FULL_ATTENTION,
            past_key_values=past,
            logits_to_keep=1 if last_only else 0,
        )
    logits: torch.Tensor = result.logits
    return logits


def cache_of(model: Any, batch: Sizes, tokens: Sizes) -> DynamicCache:
    """The real cache, with so many tokens of each sequence in every layer."""
    past = DynamicCache()
    for index, layer in enumerate(model.model.language_model.layers):
        block, weight = layer.self_attn, layer.self_attn.k_proj.weight
        heads = weight.shape[0] // block.head_dim
        keys, values = (
            torch.empty(batch, heads, tokens, block.head_dim, **_like(weight)) for _ in range(2)
        )
        past.update(keys, values, index)
    return past


def filled_cache(model: Any, batch: int, tokens: int) -> DynamicCache:
    """The real cache as a prefill of so many tokens leaves it."""
    past = DynamicCache()
    if tokens:
        with torch.no_grad():
            run_decoder(model, batch, tokens, past)
    return past


def run_attention(
    model: Any, layer: int, batch: Sizes, tokens: Sizes, past: DynamicCache
) -> torch.Tensor:
    """The attention block of one decoder layer on what is cached, without the rest of the model."""
    block = model.model.language_model.layers[layer].self_attn
    weight = block.q_proj.weight
    hidden = torch.zeros(batch, tokens, weight.shape[1], requires_grad=True, **_like(weight))
    tables = tuple(torch.zeros(1, tokens, block.head_dim, **_like(weight)) for _ in range(2))
    attended: torch.Tensor = block(hidden, tables, attention_mask=None, past_key_values=past)[0]
    return attended


def with_vision_in_memory(model: Any) -> Any:
    """The model with zeros in real memory for its vision tower and projector, for fvcore."""
    inner = model.model
    for module in (inner.vision_tower, inner.multi_modal_projector):
        module.to_empty(device="cpu")
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data.zero_()
    for name in ("image_newline", "view_separator"):
        setattr(
            inner, name, torch.nn.Parameter(torch.zeros_like(getattr(inner, name), device="cpu"))
        )
    return model


class Real:
    """The real model, on the meta device and with its vision tower in memory for fvcore."""

    @cached_property
    def meta(self) -> Any:
        """All of it without memory."""
        return port()

    @cached_property
    def in_memory(self) -> Any:
        """The vision tower in real memory, the rest without."""
        return with_vision_in_memory(port(dtype=torch.float32))

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """Every module path of the real model; the whole is the path ""."""
        return tuple(path for path, _ in self.meta.named_modules())

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Every module path and the path of every parameter."""
        return self.modules + tuple(path for path, _ in self.meta.named_parameters())

    def modules_in(self, path: str) -> tuple[str, ...]:
        """A module and those inside it."""
        return tuple(name for name in self.modules if f"{name}.".startswith(f"{path}."))
