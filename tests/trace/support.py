"""The real model with few layers, one of each kind at its full sizes: it is traced faster."""

from __future__ import annotations

from functools import cache
from typing import Any

from transformers import UnlimitedOcrConfig

from symcost.models.deepseek_ocr.config import from_dict
from symcost.trace.statements import Formulas, formulas_of
from symcost.verify.port import port
from symcost.verify.stated import stated_stages


def few_layers() -> UnlimitedOcrConfig:
    return UnlimitedOcrConfig(
        text_config={"num_hidden_layers": 2, "mlp_layer_types": ["dense", "sparse"]},
        vision_config={
            "sam_config": {"num_hidden_layers": 2, "global_attn_indexes": [1]},
            "encoder_config": {"num_hidden_layers": 1},
        },
    )


def small_port() -> Any:
    return port(few_layers(), device=None)


@cache
def small_formulas() -> Formulas:
    config = from_dict(few_layers().to_dict())
    return formulas_of(
        {True: stated_stages(config=config), False: stated_stages(config=config, views=None)}
    )
