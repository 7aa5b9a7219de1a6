"""The sizes of a DeepSeek-OCR model, and how they are read from a Hugging Face config.json.

`config.json` beside this file holds the keys of the published configuration that decide costs
(source: https://huggingface.co/deepseek-ai/DeepSeek-OCR, config.json). What no configuration file
states is fixed in the vendor's code, deepencoder.py: SAM's patches of 16, windows of 14, an MLP
of 4 widths, a neck of 256 channels; CLIP's MLP of 4 widths.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from symcost.errors import ConfigError

FAMILIES = ("deepseek_vl_v2", "DeepseekOCR", "unlimited_ocr")
"""The model types of the family: the vendor's two layouts' names and the transformers port's."""


_MODELLED = {
    "attention_bias": False,
    "hidden_act": "silu",
    "kv_lora_rank": None,
    "mlp_bias": False,
    "moe_layer_freq": 1,
    "n_group": 1,
    "norm_topk_prob": False,
    "q_lora_rank": None,
    "scoring_func": "softmax",
    "topk_group": 1,
    "use_mla": False,
    "v_head_dim": 0,
}
"""Keys of the decoder that change what it costs, and the one value of each that is modelled."""


@dataclass(frozen=True)
class SamConfig:
    """SAM-B with its neck and the two convolutions behind it."""

    hidden: int
    layers: int
    heads: int
    mlp: int
    global_layers: tuple[int, ...]
    image_side: int
    downsample: tuple[int, int]
    patch: int = 16
    window: int = 14
    neck: int = 256


@dataclass(frozen=True)
class ClipConfig:
    """CLIP-L, fed with SAM's features."""

    hidden: int
    layers: int
    heads: int
    mlp: int
    image_side: int
    patch: int


@dataclass(frozen=True)
class DecoderConfig:
    """The mixture-of-experts decoder and its head."""

    hidden: int
    layers: int
    dense_layers: int
    heads: int
    kv_heads: int
    mlp: int
    experts: int
    experts_per_token: int
    expert_mlp: int
    shared_experts: int
    vocabulary: int

    @property
    def head_size(self) -> int:
        """Features of one attention head."""
        return self.hidden // self.heads


@dataclass(frozen=True)
class DeepseekOCRConfig:
    """A whole model. Contradictory sizes are refused."""

    sam: SamConfig
    clip: ClipConfig
    decoder: DecoderConfig

    def __str__(self) -> str:
        text = self.decoder
        return (
            f"SAM of {self.sam.layers} layers, CLIP of {self.clip.layers}, decoder of "
            f"{text.layers} with {text.experts_per_token} of {text.experts} experts"
        )

    def __post_init__(self) -> None:
        sam, clip, decoder = self.sam, self.clip, self.decoder
        _divides("SAM's heads", sam.heads, "its width", sam.hidden)
        _divides("CLIP's heads", clip.heads, "its width", clip.hidden)
        _divides("num_attention_heads", decoder.heads, "hidden_size", decoder.hidden)
        _divides("num_key_value_heads", decoder.kv_heads, "num_attention_heads", decoder.heads)
        _divides("SAM's patch", sam.patch, "image_size", sam.image_side)
        _divides("CLIP's patch_size", clip.patch, "its image_size", clip.image_side)
        _divides("a rotary pair of 2", 2, "the head size", decoder.head_size)
        _at_most(
            "num_experts_per_tok", decoder.experts_per_token, "n_routed_experts", decoder.experts
        )
        _at_most("first_k_dense_replace", decoder.dense_layers, "num_hidden_layers", decoder.layers)
        _at_most(
            "the last of global_attn_indexes", max(sam.global_layers), "layers - 1", sam.layers - 1
        )
        if sam.downsample[1] != clip.hidden:
            raise ConfigError(
                f"SAM ends with downsample_channels {sam.downsample[1]}, but CLIP, which reads "
                f"them, has width {clip.hidden}; they must be equal"
            )


def published() -> DeepseekOCRConfig:
    """The configuration of the published model."""
    text = resources.files(__package__).joinpath("config.json").read_text(encoding="utf-8")
    return from_dict(json.loads(text))


def from_file(path: Path) -> DeepseekOCRConfig:
    """Read a Hugging Face config.json of the family.

    Raises
    ------
    ConfigError
        The file cannot be read, is of another family, lacks a key or contradicts itself.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no readable JSON file: {error}") from None
    return from_dict(data)


def from_dict(data: Any) -> DeepseekOCRConfig:
    """Read the content of a config.json, in the vendor's layout or the transformers port's."""
    root = _Keys(data, "config")
    family = root.text("model_type")
    if family not in FAMILIES:
        raise ConfigError(
            f"model_type is {family!r}; this family is one of {', '.join(map(repr, FAMILIES))}"
        )
    port = "text_config" in root
    text = root.inside("text_config" if port else "language_config")
    vision = root.inside("vision_config")
    decoder = DecoderConfig(
        hidden=text.count("hidden_size"),
        layers=text.count("num_hidden_layers"),
        dense_layers=_dense_layers(text),
        heads=text.count("num_attention_heads"),
        kv_heads=text.count("num_key_value_heads"),
        mlp=text.count("intermediate_size"),
        experts=text.count("n_routed_experts"),
        experts_per_token=text.count("num_experts_per_tok"),
        expert_mlp=text.count("moe_intermediate_size"),
        shared_experts=text.count("n_shared_experts"),
        vocabulary=text.count("vocab_size"),
    )
    text.must_be("topk_method", "greedy")
    for key, only in _MODELLED.items():
        text.must_be(key, only, missing=only)
    text.must_be("head_dim", decoder.head_size, missing=decoder.head_size)
    root.must_repeat(text)
    for holder in (root, text):
        holder.must_be("tie_word_embeddings", False, missing=False)
    sam, clip = _port_vision(vision) if port else _vendor_vision(vision)
    if not port:
        projector = root.inside("projector_config")
        projector.must_be("projector_type", "linear")
        projector.must_be("input_dim", sam.downsample[1] + clip.hidden)
        projector.must_be("n_embed", decoder.hidden)
    return DeepseekOCRConfig(sam, clip, decoder)


def _vendor_vision(vision: _Keys) -> tuple[SamConfig, ClipConfig]:
    sam = vision.inside("width").inside("sam_vit_b")
    clip = vision.inside("width").inside("clip-l-14-224")
    return (
        SamConfig(
            hidden=sam.count("width"),
            layers=sam.count("layers"),
            heads=sam.count("heads"),
            mlp=4 * sam.count("width"),
            global_layers=sam.indexes("global_attn_indexes"),
            image_side=vision.count("image_size"),
            downsample=sam.pair("downsample_channels"),
        ),
        ClipConfig(
            hidden=clip.count("width"),
            layers=clip.count("layers"),
            heads=clip.count("heads"),
            mlp=4 * clip.count("width"),
            image_side=clip.count("image_size"),
            patch=clip.count("patch_size"),
        ),
    )


def _port_vision(vision: _Keys) -> tuple[SamConfig, ClipConfig]:
    sam, clip = vision.inside("sam_config"), vision.inside("encoder_config")
    sam.must_be("use_abs_pos", True, missing=True)
    sam.must_be("use_rel_pos", True, missing=True)
    sam.must_be("qkv_bias", True, missing=True)
    sam.must_be("hidden_act", "gelu", missing="gelu")
    clip.must_be("hidden_act", "quick_gelu", missing="quick_gelu")
    return (
        SamConfig(
            hidden=sam.count("hidden_size"),
            layers=sam.count("num_hidden_layers"),
            heads=sam.count("num_attention_heads"),
            mlp=sam.count("mlp_dim"),
            global_layers=sam.indexes("global_attn_indexes"),
            image_side=sam.count("image_size"),
            downsample=sam.pair("downsample_channels"),
            patch=sam.count("patch_size"),
            window=sam.count("window_size"),
            neck=sam.count("output_channels"),
        ),
        ClipConfig(
            hidden=clip.count("hidden_size"),
            layers=clip.count("num_hidden_layers"),
            heads=clip.count("num_attention_heads"),
            mlp=clip.count("intermediate_size"),
            image_side=clip.count("image_size"),
            patch=clip.count("patch_size"),
        ),
    )


def _dense_layers(text: _Keys) -> int:
    """How many layers come before the first with experts: stated as a number, or layer by layer."""
    if "mlp_layer_types" not in text:
        return text.count("first_k_dense_replace", minimum=0)
    kinds = text.value("mlp_layer_types")
    dense = kinds.count("dense") if isinstance(kinds, list) else -1
    sparse = text.count("num_hidden_layers") - dense
    if kinds != ["dense"] * dense + ["sparse"] * sparse:
        raise ConfigError(
            f"{text.path}.mlp_layer_types is {kinds!r}; allowed: one of 'dense' and 'sparse' for "
            "each of num_hidden_layers, the dense ones first"
        )
    return dense


_REQUIRED = object()


class _Keys:
    """A part of a configuration file that names its place when something is wrong."""

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, Mapping):
            raise ConfigError(f"{path} is {data!r}; an object of keys and values is needed")
        self._data = data
        self.path = path

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def value(self, key: str) -> Any:
        if key not in self._data:
            raise ConfigError(f"{self.path}.{key} is missing")
        return self._data[key]

    def inside(self, key: str) -> _Keys:
        return _Keys(self.value(key), f"{self.path}.{key}")

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str):
            raise ConfigError(f"{self.path}.{key} is {value!r}; a text is needed")
        return value

    def count(self, key: str, *, minimum: int = 1) -> int:
        value = self.value(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ConfigError(
                f"{self.path}.{key} is {value!r}; allowed: an integer of at least {minimum}"
            )
        return value

    def indexes(self, key: str) -> tuple[int, ...]:
        value = self.value(key)
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in value)
            or len(set(value)) != len(value)
        ):
            raise ConfigError(
                f"{self.path}.{key} is {value!r}; a list of different indexes is needed"
            )
        return tuple(value)

    def pair(self, key: str) -> tuple[int, int]:
        value = self.value(key)
        if not (
            isinstance(value, list)
            and len(value) == 2
            and all(isinstance(i, int) and not isinstance(i, bool) and i > 0 for i in value)
        ):
            raise ConfigError(f"{self.path}.{key} is {value!r}; two positive integers are needed")
        return value[0], value[1]

    def must_repeat(self, part: _Keys) -> None:
        """Refuse a key that stands here too and says something else."""
        for key in self._data.keys() & part._data.keys():
            if key != "model_type" and self._data[key] != part._data[key]:
                raise ConfigError(
                    f"{self.path}.{key} is {self._data[key]!r} and {part.path}.{key} is "
                    f"{part._data[key]!r}; they contradict each other"
                )

    def must_be(self, key: str, wanted: Any, *, missing: Any = _REQUIRED) -> None:
        """Refuse any value but one; `missing` stands for a key that is not there."""
        value = self._data.get(key, missing)
        if value is _REQUIRED:
            raise ConfigError(f"{self.path}.{key} is missing; it must be {wanted!r}")
        if type(value) is not type(wanted) or value != wanted:
            raise ConfigError(f"{self.path}.{key} is {value!r}; only {wanted!r} is modelled")


def _divides(what: str, divisor: int, whole: str, value: int) -> None:
    if value % divisor:
        raise ConfigError(f"{whole} {value} is not a multiple of {what} {divisor}")


def _at_most(what: str, value: int, limit_name: str, limit: int) -> None:
    if value > limit:
        raise ConfigError(f"{what} is {value}; at most {limit_name} = {limit} is possible")
