"""The workloads on which formulas and counters are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from symcost.models.deepseek_ocr.geometry import STEP, TILE_SIZE, Views
from symcost.models.deepseek_ocr.workload import Workload
from symcost.stages import Stage

Crops = tuple[int, int]
NO_CROPS = (0, 0)


@dataclass(frozen=True)
class Grid:
    """Workloads by what is run on them.

    Parameters
    ----------
    vision, prefill, decode : tuple of Workload
        For torch's counter: pages, whole prefills with or without a page, single steps.
    vision_backward, prefill_backward, decode_backward : tuple of Workload
        For the backward pass.
    fvcore_vision, fvcore_prefill, fvcore_decode : tuple of Workload
        For fvcore. Its pages run in real memory, so they are small or few.
    static : tuple of Workload
        For the static analyzer: pages with a prompt and a step.
    """

    vision: tuple[Workload, ...]
    prefill: tuple[Workload, ...]
    decode: tuple[Workload, ...]
    vision_backward: tuple[Workload, ...]
    prefill_backward: tuple[Workload, ...]
    decode_backward: tuple[Workload, ...]
    fvcore_vision: tuple[Workload, ...]
    fvcore_prefill: tuple[Workload, ...]
    fvcore_decode: tuple[Workload, ...]
    static: tuple[Workload, ...]

    def as_dict(self) -> dict[str, list[dict[str, object]]]:
        """The workloads as JSON shows them."""
        return {
            name: [workload.as_dict() for workload in workloads]
            for name, workloads in vars(self).items()
        }


def page(
    side: int,
    batch: int,
    crops: Crops = NO_CROPS,
    *,
    tile: int = TILE_SIZE,
    text: int = 1,
    cached: int = 0,
) -> Workload:
    """A batch of pages, each with so many text tokens beside it, on so many cached tokens."""
    views = Views(side, tile, *crops)
    return Workload(views, batch, int(views.image_tokens) + text, cached)


def text(batch: int, tokens: int, cached: int = 0) -> Workload:
    """A batch of texts on so many cached tokens."""
    return Workload(None, batch, tokens, cached)


def _texts(batches: Iterable[int], lengths: Iterable[int]) -> list[Workload]:
    return [text(batch, tokens) for tokens, batch in product(lengths, batches)]


def _steps(batches: Iterable[int], cached: Iterable[int]) -> list[Workload]:
    return [text(batch, 1, tokens) for tokens, batch in product(cached, batches)]


BATCHES = (1, 2, 8)
SIDES = (512, 576, 640, 1024, 1280)
ALL_SIDES = range(STEP, 2048 + 1, STEP)
CROPS = (NO_CROPS, (2, 1), (1, 2), (2, 3), (3, 2), (3, 3), (1, 9))
LENGTHS = (
    1,
    2,
    3,
    7,
    16,
    33,
    64,
    127,
    128,
    129,
    255,
    273,
    400,
    511,
    512,
    513,
    777,
    903,
    1024,
    1203,
)
CACHED = (0, 1, 2, 3, 7, 64, 127, 400, 511, 1023, 1024, 2047, 3001, 4095, 4096)
PIECES = (text(2, 7, 63), text(1, 129, 400), text(8, 2, 1), text(2, 513, 4096))

FULL = Grid(
    vision=(
        *(page(side, batch, crops) for side, batch, crops in product(SIDES, BATCHES, CROPS)),
        *(page(side, 2) for side in ALL_SIDES),
        *(page(1024, 2, (2, 3), tile=tile) for tile in (64, 448, 1024)),
    ),
    prefill=(
        *(
            page(side, batch, crops)
            for side in (512, 1024)
            for batch, crops in product(BATCHES, CROPS[::3])
        ),
        page(640, 1, (3, 1), text=20),
        page(576, 2, (1, 2), cached=77),
        *_texts(BATCHES, LENGTHS),
        *PIECES,
    ),
    decode=tuple(_steps(BATCHES, CACHED)),
    vision_backward=(page(512, 1), page(1024, 2, (2, 3)), page(640, 8, (1, 2)), page(1280, 1)),
    prefill_backward=(
        page(512, 2, (1, 2)),
        page(1024, 1, (2, 3), text=20, cached=30),
        text(1, 1),
        text(8, 33),
        text(2, 1203),
        text(2, 7, 63),
    ),
    decode_backward=(text(1, 1, 1), text(2, 1, 400), text(8, 1, 4096)),
    fvcore_vision=(
        *(page(side, 1) for side in (512, 576, 640, 1024)),
        page(768, 2),
        *(page(64, batch, crops, tile=64) for batch, crops in product(BATCHES, CROPS)),
        page(320, 1, (2, 3), tile=192),
    ),
    fvcore_prefill=tuple(_texts(BATCHES, (1, 2, 7, 64, 129, 400, 513, 1203))) + PIECES,
    fvcore_decode=tuple(_steps(BATCHES, (0, 1, 64, 511, 1024, 4095, 4096))),
    static=(
        page(512, 1, text=20, cached=93),
        page(320, 2, (2, 1), tile=128, text=7, cached=511),
        page(64, 8, (2, 3), tile=64, text=1203, cached=4096),
    ),
)
"""All sizes: up to ten minutes on two cores."""

QUICK = Grid(
    vision=(page(1024, 1, (2, 3)), page(576, 2), page(512, 8, (1, 2)), page(64, 1), page(1280, 2)),
    prefill=(
        page(1024, 1, (2, 3), text=21),
        page(64, 2, cached=7),
        *_texts((1, 2, 8), (1, 7, 273, 1203)),
        PIECES[0],
    ),
    decode=tuple(_steps(BATCHES, (0, 1, 400, 4096))),
    vision_backward=(page(640, 2, (1, 2)),),
    prefill_backward=(page(512, 2, (2, 1), cached=3), text(2, 33), text(1, 7, 63)),
    decode_backward=(text(2, 1, 400),),
    fvcore_vision=(page(64, 1, (2, 1), tile=320), page(320, 1)),
    fvcore_prefill=(text(1, 1), text(2, 129), PIECES[0]),
    fvcore_decode=(text(1, 1, 1), text(8, 1, 4096)),
    static=(page(64, 1, (2, 1), tile=64, text=20, cached=400),),
)
"""A few of each: less than a minute."""


@dataclass(frozen=True)
class ByteGrid:
    """Workloads for bytes and memory, by what is run on them.

    Parameters
    ----------
    vision, prefill, decode : tuple of Workload
        For the byte counter.
    experts : tuple of int
        Tokens that real experts are run on, in real memory.
    peaks : tuple of (Stage, Workload)
        For the liveness measurement.
    router : tuple of int
        Tokens of which the real router chooses the experts.
    """

    vision: tuple[Workload, ...]
    prefill: tuple[Workload, ...]
    decode: tuple[Workload, ...]
    experts: tuple[int, ...]
    peaks: tuple[tuple[Stage, Workload], ...]
    router: tuple[int, ...]

    def as_dict(self) -> dict[str, list[object]]:
        """The workloads as JSON shows them."""
        return {
            "vision": [workload.as_dict() for workload in self.vision],
            "prefill": [workload.as_dict() for workload in self.prefill],
            "decode": [workload.as_dict() for workload in self.decode],
            "experts": list(self.experts),
            "peaks": [
                {"stage": stage.value, **workload.as_dict()} for stage, workload in self.peaks
            ],
            "router": list(self.router),
        }


FULL_BYTES = ByteGrid(
    vision=(
        *(page(side, 2) for side in ALL_SIDES),
        *(page(side, batch, crops) for side, batch, crops in product(SIDES, BATCHES, CROPS[::3])),
    ),
    prefill=(
        *(page(side, 2, crops) for side, crops in product((512, 1024), CROPS[::3])),
        page(1024, 1, (2, 3), text=21),
        page(576, 2, (1, 2), cached=77),
        *_texts(BATCHES, LENGTHS),
        *PIECES,
    ),
    decode=tuple(_steps(BATCHES, CACHED)),
    experts=(1, 2, 3, 8, 17, 64, 300),
    peaks=(
        *((Stage.VISION, page(side, 2)) for side in (512, 640, 1024, 1280)),
        (Stage.VISION, page(1024, 1, (2, 3))),
        (Stage.VISION, page(640, 3, (1, 2))),
        (Stage.PREFILL, page(1024, 1, (2, 3), text=21)),
        *((Stage.PREFILL, text(batch, tokens)) for batch in BATCHES for tokens in (64, 903, 1203)),
        (Stage.PREFILL, text(2, 7, 400)),
        *((Stage.DECODE, text(batch, 1, cached)) for batch in (1, 8) for cached in (0, 400, 4096)),
    ),
    router=(1, 2, 4, 8, 16, 32, 64, 128),
)
"""All sizes."""

QUICK_BYTES = ByteGrid(
    vision=(page(1024, 2, (2, 3)), page(640, 2), page(512, 1, (1, 2)), page(192, 2)),
    prefill=(page(640, 2, (1, 2)), text(2, 64), text(1, 273), text(8, 2, 400)),
    decode=(text(2, 1, 400), text(1, 1, 4096), text(8, 1, 0)),
    experts=(1, 8, 64),
    peaks=(
        (Stage.VISION, page(1024, 1, (2, 3))),
        (Stage.VISION, page(640, 2)),
        (Stage.PREFILL, page(1024, 1, (2, 3), text=21)),
        (Stage.PREFILL, text(2, 64)),
        (Stage.PREFILL, text(1, 1203)),
        (Stage.DECODE, text(1, 1, 400)),
        (Stage.DECODE, text(8, 1, 4096)),
    ),
    router=(1, 8, 64),
)
"""A few of each."""
