"""How the stages of the real model are run and timed with random weights; it needs torch.

The model is the port in transformers, as in `symcost verify`, but with the attention and the
experts that a device runs fast. Attention sees all keys: formulas count all products.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, TypeAlias

import torch
from transformers import DynamicCache, UnlimitedOcrConfig, UnlimitedOcrForConditionalGeneration

from symcost.models.deepseek_ocr.workload import Workload
from symcost.stages import Stage
from symcost.verify.port import FULL_ATTENTION, cache_of, images_of, run_vision

ATTENTION, EXPERTS = "sdpa", "grouped_mm"
WARM_UPS = 3
SAMPLES = 10
CACHE_BYTES = 1 << 28
"""More than a device's own caches hold."""

Run: TypeAlias = Callable[[], object]
Timer: TypeAlias = Callable[[Run], float]
"""Runs something once, and tells the seconds that it took."""


def config() -> UnlimitedOcrConfig:
    """The published sizes; SAM's own weights of 1e-10 would make all parts of a page alike."""
    return UnlimitedOcrConfig(vision_config={"sam_config": {"initializer_range": 0.02}})


def random_port(
    config: UnlimitedOcrConfig, device: str, dtype: torch.dtype = torch.bfloat16
) -> UnlimitedOcrForConditionalGeneration:
    """The real model with random weights; nothing is downloaded."""
    torch.manual_seed(0)
    config._attn_implementation = ATTENTION
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = UnlimitedOcrForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    model.set_experts_implementation(EXPERTS)
    model.train(False)
    for layer in model.model.language_model.layers:
        layer.self_attn.is_causal = False
    return model


def device_timer(device: str) -> Timer:
    """Times by events of the device, whose caches other data fill before each run."""
    other = torch.empty(CACHE_BYTES, dtype=torch.uint8, device=device)

    def seconds(run: Run) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        other.zero_()
        begin.record()
        kept = run()
        end.record()
        torch.cuda.synchronize()
        del kept
        return begin.elapsed_time(end) / 1e3

    return seconds


def prepared(model: Any, stage: Stage, workload: Workload) -> Callable[[], Run]:
    """What makes one run of a stage ready; each has a cache as the first one found it."""
    given = images_of(model, workload.batch, workload.views)
    for pixels in (given.get("pixel_values"), given.get("pixel_values_local")):
        if pixels is not None:
            pixels.normal_()
    if stage is Stage.VISION:
        return lambda: partial(run_vision, model, given)
    if stage is Stage.PREFILL:
        ids = _tokens(model, workload, workload.context_len)
        ids[:, : workload.image_tokens] = model.config.image_token_id
        return lambda: partial(_decoded, model, ids, DynamicCache(), given)
    ids, past = _tokens(model, workload, 1), cache_of(model, workload.batch, workload.cached)
    held = [(layer.keys.normal_(), layer.values.normal_()) for layer in past.layers]

    def step() -> Run:
        for layer, (keys, values) in zip(past.layers, held, strict=True):
            layer.keys, layer.values = keys, values
        return partial(_decoded, model, ids, past, {})

    return step


def _tokens(model: Any, workload: Workload, tokens: int) -> torch.Tensor:
    """Random text."""
    device = model.lm_head.weight.device
    return torch.randint(model.config.image_token_id, (workload.batch, tokens), device=device)


def _decoded(model: Any, ids: torch.Tensor, past: DynamicCache, given: Any) -> torch.Tensor:
    """The logits of the last token of each sequence, as a generation needs them."""
    logits: torch.Tensor = model(
        ids, **given, attention_mask=FULL_ATTENTION, past_key_values=past, logits_to_keep=1
    ).logits
    return logits


def touched_experts(model: Any, run: Run) -> Fraction:
    """Distinct experts that a layer reads in a run, the mean of the layers with experts."""
    counts: list[int] = []

    def count(_: Any, __: Any, routed: tuple[torch.Tensor, ...]) -> None:
        counts.append(routed[2].unique().numel())

    routers = [
        layer.mlp.gate for layer in model.model.language_model.layers if hasattr(layer.mlp, "gate")
    ]
    hooks = [router.register_forward_hook(count) for router in routers]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return Fraction(sum(counts), len(counts))


def measured(
    model: Any, stage: Stage, workload: Workload, timer: Timer
) -> tuple[Fraction | None, list[float]]:
    """The experts that a stage touches, and its seconds in each of some runs.

    Vision touches none. Without samples where the memory was not enough.
    """
    torch.cuda.empty_cache()
    try:
        with torch.inference_mode():
            ready = prepared(model, stage, workload)
            experts = None if stage is Stage.VISION else touched_experts(model, ready())
            for _ in range(WARM_UPS):
                ready()()
            return experts, [timer(ready()) for _ in range(SAMPLES)]
    except torch.OutOfMemoryError:
        return None, []
