"""The cases that are traced. That they leave no size out is checked where they are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from typing import Any, TypeAlias

import sympy as sp
import torch
from transformers import DynamicCache

from symcost.symbols import B, K, S, n_h, n_w, q, q_t
from symcost.trace.symbolic import Run, Session, Sizes
from symcost.trace.traced import SIDES, STEP, Trace, Traces
from symcost.verify import Progress, versions
from symcost.verify.port import cache_of, images, port, run_decoder, run_tower

Case: TypeAlias = Mapping[sp.Symbol, int | sp.Symbol]
"""Each size as a number, or as itself where it is symbolic."""

TOWER = "model.vision_tower"
CLIP = "model.vision_tower.vision_encoder"
PROJECTOR = "model.multi_modal_projector"


@dataclass(frozen=True)
class Family:
    """Traces that share a session.

    Parameters
    ----------
    name : str
        What is traced.
    hints : mapping of sympy.Symbol to int
        The sizes that may be symbolic. No two hints are the same, nor a product of others, so that
        no decision is taken by an accidental equality.
    cases : tuple of mapping
        The sizes of each trace.
    run : callable
        What runs.
    inside : str
        The path of a module whose parts are called directly.
    within : tuple of str
        The modules of which the traces speak.
    """

    name: str
    hints: Mapping[sp.Symbol, int]
    cases: tuple[Case, ...]
    run: Run
    inside: str = ""
    within: tuple[str, ...] = ("",)


def families(sides: tuple[int, ...] = SIDES) -> dict[str, Family]:
    """Everything that is traced, by the name that `Traces` has for it.

    Torch takes sizes of 0 and 1 for constants, so a symbolic size is at least 2, and the smaller
    ones are cases of their own.
    """
    grids = ((0, 0), *product((1, n_w), (1, n_h)))
    return {
        "decoder": Family(
            "decoder and head",
            {B: 5, S: 7, K: 11},
            tuple({B: b, S: s, K: k} for b, s, k in product((1, B), (1, S), (0, 1, K))),
            _decoder,
        ),
        "tower": Family(
            "vision tower",
            {B: 6},
            tuple({B: b, q: side} for side in sides for b in (1, B)),
            _tower,
            inside="model",
            within=(TOWER, PROJECTOR),
        ),
        "features": Family(
            "CLIP and projector",
            {B: 6, q: 10},
            tuple({B: b, q: q} for b in (1, B)),
            _features,
            inside="model",
            within=(CLIP, PROJECTOR),
        ),
        "pages": Family(
            "prefill with a page",
            {S: 777, n_w: 3, n_h: 5},
            tuple(
                {B: b, S: S, K: 0, q: 1, q_t: 2, n_w: columns, n_h: rows}
                for b in (1, 2)
                for columns, rows in grids
            ),
            _page,
        ),
    }


def _decoder(model: Any, sizes: Sizes) -> None:
    batch, cached = sizes[B], sizes[K]
    nothing = isinstance(cached, int) and cached == 0
    past = DynamicCache() if nothing else cache_of(model, batch, cached)
    run_decoder(model, batch, sizes[S], past)


def _tower(model: Any, sizes: Sizes) -> None:
    run_tower(model, sizes[B], STEP * sizes[q])


def _features(model: Any, sizes: Sizes) -> None:
    """CLIP and the projector as the vision tower calls them, on features from SAM."""
    views, side = sizes[B], sizes[q]
    inner = model.model
    kernel = inner.vision_tower.sam_encoder.proj.conv2.weight
    features = torch.zeros(views, kernel.shape[0], side, side, dtype=kernel.dtype)
    encoded = inner.vision_tower.vision_encoder(features).last_hidden_state
    by_patch = features.flatten(2).transpose(1, 2)
    inner.multi_modal_projector(torch.cat([encoded[:, 1:], by_patch], dim=-1))


def _page(model: Any, sizes: Sizes) -> None:
    sides = STEP * sizes[q], STEP * sizes[q_t]
    given = images(model, sizes[B], *sides, sizes[n_w], sizes[n_h])
    run_decoder(model, sizes[B], sizes[S], DynamicCache(), given)


def trace_all(
    progress: Progress = lambda *_: None,
    *,
    build: Callable[[], Any] = lambda: port(device=None),
    wanted: Mapping[str, Family] | None = None,
) -> Traces:
    """Trace the real model in all cases. It takes minutes and does not depend on any formula.

    Where the real code raises, the family of traces ends there, and the error is kept.

    Parameters
    ----------
    progress : callable
        Told of every trace.
    build : callable
        Makes the real model on the current device.
    wanted : mapping of str to Family, optional
        What to trace; everything unless given.
    """
    wanted = families() if wanted is None else wanted
    total, done = sum(len(family.cases) for family in wanted.values()), 0
    traces: dict[str, tuple[Trace, ...]] = {}
    errors: list[str] = []
    modules: tuple[str, ...] = ()
    windows: dict[str, int] = {}
    for name, family in wanted.items():
        found: list[Trace] = []
        case: Case = {}
        try:
            session = Session(family.hints, build)
            modules = tuple(path for path, _ in session.model.named_modules())
            windows = _windows(session.model)
            for case in family.cases:
                progress(family.name, done + len(found), total)
                found.append(
                    session.trace(case, family.run, inside=family.inside, within=family.within)
                )
        except Exception as error:  # whatever foreign code raises is a finding
            sizes = ", ".join(f"{symbol} = {size}" for symbol, size in case.items())
            errors.append(
                f"{family.name}: transformers {version('transformers')} raised "
                f"{type(error).__name__}: {error} ({sizes or 'when it was made'})"
            )
        traces[name] = tuple(found)
        done += len(family.cases)
    progress("done", total, total)
    return Traces(
        modules=modules,
        windows=windows,
        errors=tuple(errors),
        versions=versions("torch", "transformers", "sympy"),
        **traces,
    )


def _windows(model: Any) -> dict[str, int]:
    """The layers that attend within windows, as the real model says."""
    sides = {path: getattr(module, "window_size", 0) for path, module in model.named_modules()}
    return {path: side for path, side in sides.items() if isinstance(side, int) and side > 0}
