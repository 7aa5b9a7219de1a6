"""What is run on the real model, target by target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from symcost.models.deepseek_ocr.workload import Workload
from symcost.paths import enclosing
from symcost.stages import Stage
from symcost.verify import counters, fvcore_counter
from symcost.verify.comparison import Observation
from symcost.verify.counters import Count
from symcost.verify.grid import Grid, page
from symcost.verify.port import (
    Real,
    filled_cache,
    images_of,
    run_attention,
    run_decoder,
    run_vision,
)
from symcost.verify.quantities import Quantity
from symcost.verify.targets import Target

ATTENTION = "model.language_model.layers.0.self_attn"

Run = Callable[[], Iterator[Observation]]


@dataclass(frozen=True)
class Step:
    """One run of the real model, which yields what it shows."""

    target: Target
    run: Run


def steps(real: Real, grid: Grid, targets: tuple[Target, ...]) -> list[Step]:
    """All runs of the given targets, in order."""
    return [
        Step(target, run)
        for target in Target
        if target in targets
        for run in _RUNS[target](real, grid)
    ]


def _core(real: Real, grid: Grid) -> Iterator[Run]:
    yield partial(_parameters, real)
    for workload in grid.prefill:
        if workload.views is not None:
            yield partial(_decoded, real, Stage.PREFILL, workload)


def _vision(real: Real, grid: Grid) -> Iterator[Run]:
    for workload in grid.vision:
        yield partial(_pages, real, workload)
    for workload in grid.vision_backward:
        yield partial(_pages, real, workload, backward=True)
    for workload in grid.fvcore_vision:
        yield partial(_pages_by_fvcore, real, workload)


def _decoder(real: Real, grid: Grid) -> Iterator[Run]:
    for workload in grid.prefill:
        if workload.views is None:
            yield partial(_decoded, real, Stage.PREFILL, workload)
    for workload in grid.prefill_backward:
        yield partial(_decoded, real, Stage.PREFILL, workload, backward=True)
    for workload in grid.fvcore_prefill:
        yield partial(_last_token, real, workload)
        yield partial(_by_fvcore, real, workload, Stage.PREFILL)


def _llama(real: Real, grid: Grid) -> Iterator[Run]:
    for workload in (*grid.fvcore_prefill, *grid.fvcore_decode):
        yield partial(_attention, real, workload)


def _prefill_decode(real: Real, grid: Grid) -> Iterator[Run]:
    for workload in grid.decode:
        yield partial(_decoded, real, Stage.DECODE, workload)
    for workload in grid.decode_backward:
        yield partial(_decoded, real, Stage.DECODE, workload, backward=True)
    for workload in grid.fvcore_decode:
        yield partial(_by_fvcore, real, workload, Stage.DECODE)


_RUNS: dict[Target, Callable[[Real, Grid], Iterator[Run]]] = {
    Target.CORE: _core,
    Target.VISION: _vision,
    Target.DECODER: _decoder,
    Target.LLAMA: _llama,
    Target.PREFILL_DECODE: _prefill_decode,
}


def _counted(
    real: Real, run: Callable[[], Any], *, backward: bool, inside: str = ""
) -> Iterator[tuple[Quantity, Count]]:
    if backward:
        ahead, back = counters.count_both(real.meta, run, inside=inside)
        yield Quantity.FORWARD, ahead
        yield Quantity.BACKWARD, back
    else:
        yield Quantity.FORWARD, counters.count(real.meta, run, inside=inside)


def _held(sizes: Iterator[tuple[str, int]]) -> Count:
    totals: dict[str, int] = defaultdict(int)
    for path, size in sizes:
        for module in enclosing(path):
            totals[module] += size
    return Count({path: {"": total} for path, total in totals.items()})


def _parameters(real: Real) -> Iterator[Observation]:
    named = list(real.meta.named_parameters())
    quantities = (
        (Quantity.PARAMETERS, _held((path, x.numel()) for path, x in named)),
        (Quantity.WEIGHT_BYTES, _held((path, x.nbytes) for path, x in named)),
    )
    for quantity, count in quantities:
        yield Observation(quantity, Stage.PREFILL, page(1024, 1), count, real.parameters)


def _cache(real: Real, stage: Stage, workload: Workload, past: Any) -> Observation:
    count = _held(
        (f"model.language_model.layers.{index}.self_attn.{name}", held.nbytes)
        for index, layer in enumerate(past.layers)
        for name, held in (("keys", layer.keys), ("values", layer.values))
    )
    return Observation(Quantity.CACHE_BYTES, stage, workload, count, real.modules)


def _pages(real: Real, workload: Workload, *, backward: bool = False) -> Iterator[Observation]:
    images = images_of(real.meta, workload.batch, workload.views)
    made: list[torch.Tensor] = []

    def run() -> tuple[torch.Tensor, ...]:
        made[:] = run_vision(real.meta, images)
        return tuple(made)

    for quantity, count in _counted(real, run, backward=backward, inside="model"):
        yield Observation(quantity, Stage.VISION, workload, count, real.modules)
    tokens = Count({"": {"": sum(len(features) for features in made)}})
    yield Observation(Quantity.IMAGE_TOKENS, Stage.VISION, workload, tokens, ("",))


def _pages_by_fvcore(real: Real, workload: Workload) -> Iterator[Observation]:
    model = real.in_memory
    run = partial(run_vision, model, images_of(model, workload.batch, workload.views))
    count = fvcore_counter.count(model, run)
    yield Observation(
        Quantity.FVCORE, Stage.VISION, workload, count, real.modules_in("model"), "model"
    )


def _decoded(
    real: Real, stage: Stage, workload: Workload, *, backward: bool = False
) -> Iterator[Observation]:
    past = filled_cache(real.meta, workload.batch, workload.cached)
    tokens = 1 if stage is Stage.DECODE else workload.context_len
    images = images_of(real.meta, workload.batch, workload.views)
    run = partial(run_decoder, real.meta, workload.batch, tokens, past, images)
    for quantity, count in _counted(real, run, backward=backward):
        yield Observation(quantity, stage, workload, count, real.modules)
    yield _cache(real, stage, workload, past)


def _last_token(real: Real, workload: Workload) -> Iterator[Observation]:
    past = filled_cache(real.meta, workload.batch, workload.cached)
    run = partial(
        run_decoder, real.meta, workload.batch, workload.context_len, past, last_only=True
    )
    count = counters.count(real.meta, run)
    yield Observation(Quantity.HEAD_ON_LAST, Stage.PREFILL, workload, count, real.modules)


def _by_fvcore(real: Real, workload: Workload, stage: Stage) -> Iterator[Observation]:
    past = filled_cache(real.meta, workload.batch, workload.cached)
    run = partial(run_decoder, real.meta, workload.batch, workload.context_len, past)
    count = fvcore_counter.count(real.meta, run)
    yield Observation(Quantity.FVCORE, stage, workload, count, real.modules)


def _attention(real: Real, workload: Workload) -> Iterator[Observation]:
    stage = Stage.DECODE if workload.context_len == 1 else Stage.PREFILL
    within = real.modules_in(ATTENTION)

    def run() -> Callable[[], torch.Tensor]:
        past = filled_cache(real.meta, workload.batch, workload.cached)
        return lambda: run_attention(real.meta, 0, workload.batch, workload.context_len, past)

    for quantity, count in _counted(real, run(), backward=True):
        yield Observation(quantity, stage, workload, count, within, ATTENTION)
    by_fvcore = fvcore_counter.count(real.meta, run())
    yield Observation(Quantity.FVCORE, stage, workload, by_fvcore, within, ATTENTION)
