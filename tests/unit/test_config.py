"""Configurations: the published one, the family's two layouts, and what is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from symcost.errors import ConfigError
from symcost.models.deepseek_ocr import config as module
from symcost.models.deepseek_ocr.config import from_dict, from_file, published

VENDOR = json.loads(Path(module.__file__).with_name("config.json").read_text())
PORT = {
    "model_type": "unlimited_ocr",
    "text_config": {
        **{k: v for k, v in VENDOR["language_config"].items() if k != "first_k_dense_replace"},
        "mlp_layer_types": ["dense", *["sparse"] * 11],
    },
    "vision_config": {
        "sam_config": {
            "hidden_size": 768,
            "output_channels": 256,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "image_size": 1024,
            "patch_size": 16,
            "window_size": 14,
            "global_attn_indexes": [2, 5, 8, 11],
            "mlp_dim": 3072,
            "downsample_channels": [512, 1024],
        },
        "encoder_config": {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": 224,
            "patch_size": 14,
        },
    },
}


def test_both_layouts_give_the_published_model():
    assert from_dict(VENDOR) == from_dict(PORT) == published()


def test_the_ports_own_configuration_file_is_read(tmp_path):
    from transformers import UnlimitedOcrConfig

    UnlimitedOcrConfig().save_pretrained(tmp_path)
    assert from_file(tmp_path / "config.json") == published()


def changed(data: dict, path: str, value: object) -> dict:
    result = copy.deepcopy(data)
    *outer, last = path.split("/")
    place = result
    for key in outer:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return result


SAM = "vision_config/width/sam_vit_b"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("model_type", "llama", "model_type is 'llama'; this family is one of 'deepseek_vl_v2'"),
        ("model_type", None, "config.model_type is missing"),
        ("language_config", None, "config.language_config is missing"),
        ("language_config/hidden_size", None, "config.language_config.hidden_size is missing"),
        ("language_config/hidden_size", "1280", "hidden_size is '1280'; allowed: an integer"),
        ("language_config/hidden_size", True, "hidden_size is True; allowed: an integer"),
        ("language_config/vocab_size", 0, "vocab_size is 0; allowed: an integer of at least 1"),
        ("language_config/num_attention_heads", 11, "not a multiple of num_attention_heads 11"),
        ("language_config/num_key_value_heads", 3, "not a multiple of num_key_value_heads 3"),
        ("language_config/num_experts_per_tok", 65, "num_experts_per_tok is 65; at most"),
        ("language_config/first_k_dense_replace", 13, "first_k_dense_replace is 13; at most"),
        ("language_config/topk_method", "noaux_tc", "only 'greedy' is modelled"),
        ("language_config/use_mla", True, "only False is modelled"),
        ("hidden_size", 999, "config.hidden_size is 999 and config.language_config.hidden_size"),
        ("language_config/attention_bias", True, "only False is modelled"),
        ("language_config/use_mla", 0, "use_mla is 0; only False is modelled"),
        ("language_config/head_dim", 64, "head_dim is 64; only 128 is modelled"),
        ("language_config/hidden_act", "relu", "only 'silu' is modelled"),
        ("language_config/scoring_func", "sigmoid", "only 'softmax' is modelled"),
        ("language_config/norm_topk_prob", True, "only False is modelled"),
        ("language_config/n_group", 8, "only 1 is modelled"),
        ("language_config/kv_lora_rank", 512, "only None is modelled"),
        ("projector_config/projector_type", "mlp_gelu", "only 'linear' is modelled"),
        ("projector_config/n_embed", 1024, "n_embed is 1024; only 1280 is modelled"),
        ("projector_config/input_dim", 1024, "input_dim is 1024; only 2048 is modelled"),
        (f"{SAM}/downsample_channels", [512, 768], "input_dim is 2048; only 1792"),
        (f"{SAM}/downsample_channels", [512], "two positive integers are needed"),
        (f"{SAM}/global_attn_indexes", [2, 12], "the last of global_attn_indexes is 12"),
        (f"{SAM}/global_attn_indexes", [2, 2], "a list of different indexes is needed"),
        (f"{SAM}/heads", 7, "not a multiple of SAM's heads 7"),
        ("vision_config/width", [], "an object of keys and values is needed"),
    ],
)
def test_what_is_refused(path, value, told):
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        from_dict(changed(VENDOR, path, value))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("text_config/mlp_layer_types", ["sparse", *["dense"] * 11], "the dense ones first"),
        ("text_config/mlp_layer_types", ["dense"], "the dense ones first"),
        ("vision_config/sam_config/use_rel_pos", False, "only True is modelled"),
        ("vision_config/encoder_config/patch_size", 13, "not a multiple of CLIP's patch_size 13"),
    ],
)
def test_what_is_refused_in_the_ports_layout(path, value, told):
    with pytest.raises(ConfigError, match=told):
        from_dict(changed(PORT, path, value))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_files_that_hold_no_configuration(content, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        from_file(path)
