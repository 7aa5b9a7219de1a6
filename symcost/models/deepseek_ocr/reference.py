"""The two implementations of DeepSeek-OCR that formulas reproduce, and how their names map."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from symcost.errors import InputError


@dataclass(frozen=True)
class Reference:
    """A real implementation, told by the operators that it has and the other has not."""

    name: str
    source: str
    rotary_matmul_in_every_layer: bool
    """Rotary angles as a product of matrices in every layer, instead of once and elementwise."""
    resizes_relative_positions_always: bool
    """SAM's relative tables pass through interpolation in every layer and at every size."""
    stores_clip_patch_embedding: bool
    """CLIP's patch convolution is a parameter, though it never runs."""


REFERENCES = MappingProxyType(
    {
        "vendor": Reference(
            "vendor",
            "modeling_deepseekocr.py and deepencoder.py of the published model",
            rotary_matmul_in_every_layer=True,
            resizes_relative_positions_always=False,
            stores_clip_patch_embedding=True,
        ),
        "transformers": Reference(
            "transformers",
            "models/unlimited_ocr of the package transformers 5.23",
            rotary_matmul_in_every_layer=False,
            resizes_relative_positions_always=True,
            stores_clip_patch_embedding=False,
        ),
    }
)

VENDOR_PATHS = MappingProxyType(
    {
        "model.vision_tower.sam_encoder": "model.sam_model",
        "model.vision_tower.sam_encoder.layers.N": "model.sam_model.blocks.N",
        "model.vision_tower.sam_encoder.neck": "model.sam_model.neck",
        "model.vision_tower.sam_encoder.proj.conv1": "model.sam_model.net_2",
        "model.vision_tower.sam_encoder.proj.conv2": "model.sam_model.net_3",
        "model.vision_tower.vision_encoder": "model.vision_model",
        "model.vision_tower.vision_encoder.encoder.layers.N": (
            "model.vision_model.transformer.layers.N"
        ),
        "model.vision_tower.vision_encoder.encoder.layers.N.self_attn.q_proj, k_proj, v_proj": (
            "model.vision_model.transformer.layers.N.self_attn.qkv_proj"
        ),
        "model.multi_modal_projector": "model.projector.layers",
        "model.language_model.embed_tokens": "model.embed_tokens",
        "model.language_model.layers.N": "model.layers.N",
        "model.language_model.norm": "model.norm",
        "model.image_newline": "model.image_newline",
        "model.view_separator": "model.view_seperator",
        "lm_head": "lm_head",
    }
)
"""The port's module paths, which symcost uses, and the vendor's names for them."""


def reference_named(name: str) -> Reference:
    """A reference by its name."""
    if name not in REFERENCES:
        raise InputError(f"reference is {name!r}; allowed: {', '.join(REFERENCES)}")
    return REFERENCES[name]
