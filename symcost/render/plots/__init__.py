"""Plots of a workload: by part, over sizes, under executions and on a device."""

from enum import StrEnum


class Kind(StrEnum):
    """What a plot shows."""

    BREAKDOWN = "breakdown"
    """The FLOPs and bytes of each part."""
    GROWTH = "growth"
    """FLOPs, bytes and memory of the stages over batch, context, crops and side of the view."""
    ROOFLINE = "roofline"
    """The stages and parts below the roof of a device."""
    EXECUTIONS = "executions"
    """Eager, fused and ideal traffic and activations."""
    SHARES = "shares"
    """The share of each part over batch and context."""
