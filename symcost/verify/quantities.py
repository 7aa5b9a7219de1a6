"""What a verification compares. Nothing here needs torch."""

from __future__ import annotations

from enum import StrEnum


class Quantity(StrEnum):
    """What is compared."""

    FORWARD = "matrix FLOPs"
    BACKWARD = "matrix FLOPs, backward"
    FVCORE = "fvcore count"
    PARAMETERS = "parameters"
    WEIGHT_BYTES = "weight bytes"
    CACHE_BYTES = "KV cache bytes"
    STATIC = "static analyzer"
    HEAD_ON_LAST = "matrix FLOPs, head on the last token"
    IMAGE_TOKENS = "image tokens"
