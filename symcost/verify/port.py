"""The real model: the port of DeepSeek-OCR in transformers, and how each stage of it is run.

Source: transformers, models/unlimited_ocr/modeling_unlimited_ocr.py. The model is made at its full
configuration in bf16 on the meta device, where tensors have shapes and no memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


def pixels(model: torch.nn.Module, count: Sizes, side: Sizes) -> torch.Tensor:
    """So many square views, where the model's parameters lie."""
    parameter = next(model.parameters())
    return torch.zeros(count, 3, side, side, device=parameter.device, dtype=parameter.dtype)


def _images(model: Any, batch: int, views: Views) -> dict[str, Any]:
    crops = int(views.crops)
    return {
        "pixel_values": pixels(model, batch, int(views.base_size)),
        "pixel_values_local": pixels(model, batch * crops, int(views.tile_size)) if crops else None,
        "num_local_patches": [crops] * batch,
        "patches_grid": [[int(views.columns), int(views.rows)]] * batch,
    }


def run_vision(model: Any, batch: int, views: Views) -> tuple[torch.Tensor, ...]:
    """The features of a batch of pages, as the decoder takes them in."""
    features = model.model.get_image_features(**_images(model, batch, views), return_dict=True)
    return tuple(features.pooler_output)


def run_decoder(
    model: Any, batch: Sizes, tokens: Sizes, past: DynamicCache, views: Views | None = None
) -> torch.Tensor:
    """Logits of all of so many tokens on what is cached, with pages taken in where there are any.

    The cache holds the tokens afterwards.
    """
    ids = torch.zeros(batch, tokens, dtype=torch.long, device=next(model.parameters()).device)
    images = {} if views is None else _images(model, int(batch), views)
    with _without_values():
        result = model(ids, **images, attention_mask=FULL_ATTENTION, past_key_values=past)
    logits: torch.Tensor = result.logits
    return logits


def cache_of(model: Any, batch: Sizes, tokens: Sizes) -> DynamicCache:
    """The real cache, with so many tokens of each sequence in every layer."""
    config, past = model.config.text_config, DynamicCache()
    parameter = next(model.parameters())
    size = config.head_dim or config.hidden_size // config.num_attention_heads
    for layer in range(config.num_hidden_layers):
        keys, values = (
            torch.empty(
                batch,
                config.num_key_value_heads,
                tokens,
                size,
                dtype=parameter.dtype,
                device=parameter.device,
            )
            for _ in range(2)
        )
        past.update(keys, values, layer)
    return past
