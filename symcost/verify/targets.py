"""What can be verified by itself: the parts that the seed had a script for each."""

from __future__ import annotations

from enum import StrEnum


class Target(StrEnum):
    """What can be verified by itself."""

    CORE = "core"
    """Parameters, and the whole model on pages."""
    VISION = "vision"
    """The vision tower and the projector."""
    DECODER = "decoder"
    """The decoder and the head on prompts."""
    LLAMA = "llama"
    """The attention block of a decoder layer by itself."""
    PREFILL_DECODE = "prefill-decode"
    """A prefill and the step behind it, on one real cache."""
