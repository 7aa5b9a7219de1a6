"""Points that are illegal although each of their values is legal, refused before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.models.deepseek_ocr.config import DecoderConfig
from symcost.models.deepseek_ocr.routing import Routing, touched
from symcost.numeric.boxes import Box, Boxes
from symcost.sweeps.where import Condition, all_hold
from symcost.sweeps.workloads import PAGE, Points

_CHECKED = 2**20
"""Points that are looked at together."""
_MANY = 2**31
"""Tokens that are more than enough to choose every expert, and whose square is below 2^63."""


def refuse_illegal(points: Points, conditions: Sequence[Condition], config: DecoderConfig) -> None:
    """Refuse a sweep of which a point is illegal.

    Parameters
    ----------
    points : Points
        The sweep.
    conditions : sequence of Condition
        Those on axes and sizes alone; a point where one does not hold may be illegal.
    config : DecoderConfig
        What says how many experts there are.

    Raises
    ------
    InputError
        A context is shorter than its image, or tokens cannot choose the measured fraction of the
        experts.
    """
    _refuse_short_contexts(points, conditions)
    for number, setting in enumerate(points.variants):
        if "experts" in setting:
            routing = Routing.parse(setting["experts"])
            for names, assumed in (
                (("context_len", "batch"), routing.prefill),
                (("batch",), routing.decode),
            ):
                if isinstance(assumed, Fraction):
                    _refuse_few_tokens(points, conditions, names, number, assumed, config)


def _refuse_short_contexts(points: Points, conditions: Sequence[Condition]) -> None:
    if points.bounds("context_len")[0] >= points.bounds("image_tokens")[1]:
        return
    for box, found, held in _walk(points, ("context_len", "image_tokens"), conditions):
        short = np.logical_and(found["context_len"] < found["image_tokens"], held)
        if short.any():
            index = 0
            for at, start, length in zip(
                np.argwhere(short)[0], box.start, points.shape, strict=True
            ):
                index = index * length + start + int(at)
            _refuse_short_context(points, index)


def _refuse_short_context(points: Points, index: int) -> None:
    found = points.coordinates(np.array([index]))
    told = [f"{name}={found[name].item()}" for name in ("context_len", *PAGE) if name in found]
    most = max(int(x["image_tokens"].max()) for _, x, _ in _walk(points, ("image_tokens",), ()))
    try:
        points.workload(index)
    except InputError as error:
        raise InputError(
            f"{'at ' * bool(told)}{', '.join(told)}{': ' * bool(told)}{error}; begin context_len "
            f"at {most}, sweep prompt_tokens instead, give no_image, or leave such points out with "
            "--where 'context_len >= image_tokens'"
        ) from None


def _refuse_few_tokens(
    points: Points,
    conditions: Sequence[Condition],
    names: Sequence[str],
    variant: int,
    assumed: Fraction,
    config: DecoderConfig,
) -> None:
    """Refuse points of a variant with fewer tokens in a call than choose so many experts."""

    def refused(tokens: int) -> str | None:
        try:
            touched(assumed, tokens, config)
        except InputError as error:
            return str(error)
        return None

    if refused(math.prod(points.bounds(name)[0] for name in names)) is None:
        return
    fewest = _MANY**2
    for _, found, held in _walk(points, (*names, "variant"), conditions):
        tokens = math.prod(np.minimum(found[name], _MANY) for name in names)
        tokens, left = np.broadcast_arrays(tokens, held & (found["variant"] == variant))
        fewest = min(fewest, int(np.min(tokens, where=left, initial=fewest)))
    error = refused(fewest)
    if error is None:
        return
    enough = next((n for n in range(1, config.experts + 1) if refused(n) is None), None)
    remedy = "" if enough is None else f"; leave others out with --where '{names[0]} >= {enough}'"
    raise InputError(error + remedy)


def _walk(
    points: Points, names: Sequence[str], conditions: Sequence[Condition]
) -> Iterator[tuple[Box, dict[str, NDArray[Any]], NDArray[np.bool_]]]:
    """Columns and where conditions hold, over the axes that these depend on and no others."""
    needed = {*names, *(name for condition in conditions for name in condition.names)}
    corner = Box((0,) * len(points.shape), tuple(min(2, length) for length in points.shape), 0)
    varying = np.broadcast_shapes(*(x.shape for x in points.columns(needed, corner).values()))
    shape = tuple(
        length if several > 1 else 1 for length, several in zip(points.shape, varying, strict=True)
    )
    for box in Boxes(shape, _CHECKED):
        found = points.columns(needed, box)
        yield box, found, all_hold(conditions, found)
