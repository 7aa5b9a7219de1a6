"""One workload: a page, a batch and lengths, and what the stages cost on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import sympy as sp

from symcost.cost import Cost, SequenceCost, StageCost
from symcost.errors import InputError
from symcost.exact import Amount, Number
from symcost.models.deepseek_ocr.collectives import Collective
from symcost.models.deepseek_ocr.geometry import (
    TILE_SIZE,
    Views,
    mode_named,
    page_size,
    views_of_page,
)
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.vision import PARTS
from symcost.models.deepseek_ocr.widths import Widths
from symcost.stages import Stage, SyntheticKVCache, over_tokens
from symcost.symbols import B, C, I_g, I_t, K, S, Size, T, n_h, n_w

DEFAULT_PAGE = (1654, 2339)
"""Width and height in pixels of a page of A4 at 200 dots per inch."""
DEFAULT_PROMPT_TOKENS = 20
"""Text tokens of a short instruction."""


@dataclass(frozen=True)
class Workload:
    """Sizes of one request or of a batch of equal ones.

    Parameters
    ----------
    views : Views or None
        What the vision tower sees of each page; None for text alone.
    batch : int
        Sequences.
    context_len : int
        Tokens of each sequence in the prefill, those of the image included.
    cached : int
        Tokens in the cache before the first decode step.
    new_tokens : int
        Decode steps that the decode stage sums.
    """

    views: Views | None
    batch: int
    context_len: int
    cached: int
    new_tokens: int = 1

    def __post_init__(self) -> None:
        for name in ("batch", "context_len", "new_tokens"):
            _at_least(1, name, getattr(self, name))
        _at_least(0, "cached", self.cached)
        if self.context_len < self.image_tokens:
            raise InputError(
                f"context-len is {self.context_len}; allowed: at least the image's "
                f"{self.image_tokens} tokens"
            )

    @property
    def image_tokens(self) -> int:
        """Tokens of the image, newlines and separator included."""
        return 0 if self.views is None else int(self.views.image_tokens)

    @property
    def vision_tokens(self) -> int:
        """Tokens of the image as the paper counts them."""
        return 0 if self.views is None else int(self.views.vision_tokens)

    @property
    def bindings(self) -> dict[sp.Symbol, Number]:
        """The numbers that the workload gives to the symbols of the stages, and bf16 widths."""
        sizes: dict[sp.Symbol, Number] = {B: self.batch, S: self.context_len, K: self.cached}
        if self.views is not None:
            sizes |= {
                I_g: int(self.views.base_size),
                I_t: int(self.views.tile_size),
                n_w: int(self.views.columns),
                n_h: int(self.views.rows),
                C: int(self.views.crops),
            }
        return sizes | Widths().bindings

    def as_dict(self) -> dict[str, int | list[int] | None]:
        """The sizes as the report shows them; a grid of no crops is 1 × 1."""
        seen = self.views
        crops = 0 if seen is None else int(seen.crops)
        return {
            "batch": self.batch,
            "base_size": None if seen is None else int(seen.base_size),
            "tile_size": None if seen is None else int(seen.tile_size),
            "crop_grid": [int(seen.columns), int(seen.rows)] if seen and crops else [1, 1],
            "crops": crops,
            "image_tokens": self.image_tokens,
            "vision_tokens": self.vision_tokens,
            "context_len": self.context_len,
            "cached": self.cached,
            "new_tokens": self.new_tokens,
        }

    @classmethod
    def from_options(
        cls,
        *,
        mode: str | None = None,
        image: str | None = None,
        base_size: int | None = None,
        tile_size: int | None = None,
        crop_grid: str | None = None,
        no_image: bool = False,
        batch: int | None = None,
        prompt_tokens: int | None = None,
        context_len: int | None = None,
        cached: int | None = None,
        new_tokens: int | None = None,
    ) -> Workload:
        """A workload as it is described on the command line.

        A page comes from a mode and an image, or from sizes; without either it is an A4 page at
        200 dpi in Gundam mode. The sequence length follows from the prompt, or is given.
        """
        sizes = {"base-size": base_size, "tile-size": tile_size, "crop-grid": crop_grid}
        given = [f"--{name}" for name, value in sizes.items() if value is not None]
        named = [f"--{n}" for n, v in {"mode": mode, "image": image}.items() if v is not None]
        if no_image and given + named:
            raise InputError(f"--no-image excludes {', '.join(given + named)}; give one of them")
        if given and named:
            raise InputError(
                f"{named[0]} excludes {', '.join(given)}; a page is given by one of them"
            )
        if prompt_tokens is not None and context_len is not None:
            raise InputError("--prompt-tokens excludes --context-len; give one of them")
        views: Views | None = None
        if given:
            columns, rows = (0, 0) if crop_grid is None else _grid(crop_grid)
            views = Views(
                1024 if base_size is None else base_size,
                TILE_SIZE if tile_size is None else tile_size,
                columns,
                rows,
            )
        elif not no_image:
            name = "gundam" if mode is None else mode
            mode_named(name)
            page = DEFAULT_PAGE if image is None else page_size(image)
            views = views_of_page(*page, name)
        text = DEFAULT_PROMPT_TOKENS if prompt_tokens is None else prompt_tokens
        _at_least(0, "prompt-tokens", text)
        image_tokens = 0 if views is None else int(views.image_tokens)
        tokens = 1 + text + image_tokens if context_len is None else context_len
        return cls(
            views,
            1 if batch is None else batch,
            tokens,
            tokens if cached is None else cached,
            1 if new_tokens is None else new_tokens,
        )


def _at_least(minimum: int, name: str, value: int) -> None:
    if value < minimum:
        raise InputError(
            f"{name.replace('_', '-')} is {value}; allowed: an integer of at least {minimum}"
        )


def _grid(text: str) -> tuple[int, int]:
    columns, cross, rows = text.lower().partition("x")
    if not (cross and (columns + rows).isascii() and columns.isdecimal() and rows.isdecimal()):
        raise InputError(f"crop-grid is {text!r}; allowed: COLUMNSxROWS, such as 2x3; 1x1 for none")
    grid = int(columns), int(rows)
    return (0, 0) if grid == (1, 1) else grid


@dataclass(frozen=True)
class Costs:
    """What a workload costs, as exact numbers.

    Parameters
    ----------
    stages : mapping of str to StageCost
        By stage; decode is the sum of its steps.
    generation : SequenceCost
        A prefill and the steps behind it.
    experts : mapping of str to int or Fraction
        Distinct experts that a layer reads in a prefill and in a step.
    """

    stages: Mapping[str, StageCost]
    generation: SequenceCost
    experts: Mapping[str, Amount]


Build: TypeAlias = Callable[[Views | None], DeepseekOCRModel]
"""Makes the model that sees the given views."""


def costs_of(build: Build, workload: Workload) -> Costs:
    """What a workload costs: each stage, and whole answers."""
    stages = stage_costs(build, workload)
    steps = stages[Stage.DECODE]
    if workload.cached != workload.context_len:
        steps = _steps(build(None), replace(workload, cached=workload.context_len))
    generation = SequenceCost.together(prefill=stages[Stage.PREFILL], decode=steps)
    return Costs(stages, generation, experts_of(build, workload))


def experts_of(build: Build, workload: Workload) -> dict[str, Amount]:
    """Distinct experts that a layer reads in a prefill and in a step; none of a model without."""
    model = build(None)
    model.start_prefill(workload.context_len, workload.batch)
    found = {Stage.PREFILL.value: model.touched_experts}
    model.start_decode()
    found[Stage.DECODE.value] = model.touched_experts
    return {stage: count for stage, count in found.items() if count is not None}


def stage_costs(
    build: Build, workload: Workload, *, backward: bool = False
) -> dict[str, StageCost]:
    """What each stage costs on a workload, forward or backward, as exact numbers."""
    ask = DeepseekOCRModel.get_backward_cost if backward else DeepseekOCRModel.get_forward_cost
    model = build(workload.views)
    costs: dict[str, StageCost] = {}
    if workload.views is None:
        costs[Stage.VISION] = _no_vision()
    else:
        model.start_vision(workload.batch)
        costs[Stage.VISION] = ask(model)
    model.start_prefill(workload.context_len, workload.batch)
    prefill = ask(model)
    if workload.views is None:
        prefill = StageCost.together(vision=costs[Stage.VISION], **prefill.parts)
    costs[Stage.PREFILL] = prefill
    if not backward:
        costs[Stage.DECODE] = _steps(model, workload)
    return costs


def _no_vision() -> StageCost:
    """What vision costs where there is no image."""
    return StageCost(parts={name: Cost() for name in PARTS})


def _steps(model: DeepseekOCRModel, workload: Workload) -> StageCost:
    """The decode steps of a workload, summed."""
    model.start_decode(SyntheticKVCache(workload.batch, K))
    sizes = {K: workload.cached, T: workload.new_tokens}
    return over_tokens(model.get_forward_cost(), T).bind(sizes)


def symbolic_stages(model: DeepseekOCRModel) -> dict[str, StageCost]:
    """The closed forms of all stages that the model has, in B, S, K and the sizes of its views."""
    costs: dict[str, StageCost] = {}
    if model.has_vision:
        model.start_vision(B)
        costs[Stage.VISION] = model.get_forward_cost()
    model.start_prefill(S, B)
    costs[Stage.PREFILL] = model.get_forward_cost()
    model.start_decode(SyntheticKVCache(B, K))
    costs[Stage.DECODE] = model.get_forward_cost()
    return costs


def symbolic_costs(model: DeepseekOCRModel) -> dict[str, StageCost]:
    """What any workload costs, as closed forms: `Costs` in B, S, K, T and the sizes of the views.

    The stages, where decode is the sum of T steps, and `generation`: a prefill and T steps behind
    it. Without an image vision costs nothing.
    """
    stages = symbolic_stages(model)
    prefill = stages[Stage.PREFILL]
    if not model.has_vision:
        stages[Stage.VISION] = _no_vision()
        prefill = StageCost.together(vision=_no_vision(), **prefill.parts)
    steps = over_tokens(stages[Stage.DECODE], T)
    answer = SequenceCost.together(prefill=prefill, decode=steps.bind({K: S}))
    return {
        Stage.VISION.value: stages[Stage.VISION],
        Stage.PREFILL.value: prefill,
        Stage.DECODE.value: steps,
        "generation": answer,
    }


def collectives_of(build: Build, workload: Workload) -> dict[str, tuple[Collective, ...]]:
    """What a device exchanges with others on a workload, by stage and in whole answers."""
    model = build(workload.views)
    return _exchanged(model, workload.batch, workload.context_len, workload.new_tokens)


def symbolic_collectives(model: DeepseekOCRModel) -> dict[str, tuple[Collective, ...]]:
    """What a device exchanges on any workload, in B, S, T and the sizes of the views."""
    return _exchanged(model, B, S, T)


def _exchanged(
    model: DeepseekOCRModel, batch: Size, context_len: Size, new_tokens: Size
) -> dict[str, tuple[Collective, ...]]:
    """Collectives by stage; those of a step are the same whatever is cached."""
    found: dict[str, tuple[Collective, ...]] = {Stage.VISION.value: ()}
    if model.has_vision:
        model.start_vision(batch)
        found[Stage.VISION.value] = model.collectives()
    model.start_prefill(context_len, batch)
    prefill = found[Stage.PREFILL.value] = model.collectives()
    model.start_decode()
    steps = tuple(exchange.repeated(new_tokens) for exchange in model.collectives())
    return found | {Stage.DECODE.value: steps, "generation": prefill + steps}
