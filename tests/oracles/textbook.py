"""The whole cost of DeepSeek-OCR on one page of plain arithmetic.

Nothing of symcost is used here. Sizes and facts are those of the published configuration; the
operators are those of the port's eager forward pass (transformers, models/unlimited_ocr), and the
vendor's where it differs. Every MAC is 2 FLOPs, every elementary operation on an element is 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction

# The decoder.
H, LAYERS, HEADS, HEAD, DENSE_MLP = 1280, 12, 10, 128, 6848
EXPERTS, CHOSEN, EXPERT_MLP, SHARED_MLP, VOCABULARY = 64, 6, 896, 2 * 896, 129_280
# SAM: eight layers in windows of 14 patches, four global ones.
SAM_H, SAM_HEADS, SAM_HEAD, SAM_MLP, PATCH, WINDOW, NECK = 768, 12, 64, 3072, 16, 14, 256
SAM_WINDOWED, SAM_GLOBAL, TRAINED = 8, 4, 64
# CLIP, trained on a grid of 16 x 16.
CLIP_H, CLIP_LAYERS, CLIP_HEADS, CLIP_MLP, CLIP_TRAINED = 1024, 24, 16, 4096, 16

SOFTMAX, LAYER_NORM, GELU, QUICK_GELU, SILU, BICUBIC, LINEAR = 5, 7, 5, 6, 5, 32, 4


@dataclass(frozen=True)
class Page:
    """A workload; a grid of 0 x 0 has no crops."""

    batch: int
    base_size: int
    tile_size: int
    n_w: int
    n_h: int
    context_len: int
    cached: int
    lm_head_last: bool = False
    reference: str = "vendor"
    weight_width: Fraction | int = 2
    activation_width: Fraction | int = 2
    kv_width: Fraction | int = 2

    @property
    def crops(self) -> int:
        return self.n_w * self.n_h

    @property
    def vendor(self) -> bool:
        return self.reference == "vendor"


@dataclass(frozen=True)
class Figures:
    """What a stage or part costs; compulsory traffic is that of one kernel for the whole call."""

    matrix_flops: int = 0
    vector_flops: int = 0
    weight_bytes: Fraction | int = 0
    kv_bytes: Fraction | int = 0
    compulsory_read: Fraction | int = 0
    compulsory_written: Fraction | int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


# Parameters.

SAM_ATTENTION = (SAM_H * 3 * SAM_H + 3 * SAM_H) + (SAM_H * SAM_H + SAM_H)
SAM_LAYER = 2 * 2 * SAM_H + SAM_ATTENTION + 2 * SAM_H * SAM_MLP + SAM_MLP + SAM_H
SAM_PARAMETERS = (
    (3 * PATCH * PATCH * SAM_H + SAM_H)
    + TRAINED * TRAINED * SAM_H
    + (SAM_WINDOWED + SAM_GLOBAL) * SAM_LAYER
    + SAM_WINDOWED * 2 * (2 * WINDOW - 1) * SAM_HEAD
    + SAM_GLOBAL * 2 * (2 * TRAINED - 1) * SAM_HEAD
    + (SAM_H * NECK + 2 * NECK + 9 * NECK * NECK + 2 * NECK)
    + (9 * NECK * 512 + 9 * 512 * 1024)
)
CLIP_LAYER = 4 * (CLIP_H * CLIP_H + CLIP_H) + 2 * 2 * CLIP_H + 2 * CLIP_H * CLIP_MLP
CLIP_LAYER += CLIP_MLP + CLIP_H
CLIP_PATCH = 3 * 14 * 14 * CLIP_H
CLIP_USED = CLIP_H + (CLIP_TRAINED**2 + 1) * CLIP_H + 2 * CLIP_H + CLIP_LAYERS * CLIP_LAYER
PROJECTOR_PARAMETERS = (1024 + CLIP_H) * H + H
EMBEDDING = VOCABULARY * H
EXPERT = 3 * H * EXPERT_MLP
DECODER_ATTENTION = 4 * H * H
MOE_REST = EXPERTS * H + 3 * H * SHARED_MLP
DECODER_LAYERS = (
    LAYERS * (DECODER_ATTENTION + 2 * H)
    + 3 * H * DENSE_MLP
    + (LAYERS - 1) * (MOE_REST + EXPERTS * EXPERT)
)
PARAMETERS = {
    "sam": SAM_PARAMETERS,
    "clip": CLIP_USED + CLIP_PATCH,
    "projector": PROJECTOR_PARAMETERS,
    "embedding": EMBEDDING,
    "decoder layers": DECODER_LAYERS,
    "final norm": H,
    "newline": H,
    "separator": H,
    "lm_head": VOCABULARY * H,
}


# Vision: one call of `views` views of the given side.


def sam(page: Page, views: int, side: int) -> tuple[int, int]:
    """MACs and vector FLOPs of SAM in one call."""
    n = side // PATCH
    patches = views * n * n
    macs = patches * 3 * PATCH * PATCH * SAM_H
    vector = patches * SAM_H + patches * SAM_H  # bias of the patches, positions added
    if n != TRAINED:
        vector += BICUBIC * n * n * SAM_H
    windows = -(-n // WINDOW)
    for layers, count, s in (
        (SAM_WINDOWED, views * windows * windows, WINDOW),
        (SAM_GLOBAL, views, n),
    ):
        tokens = count * s * s
        scores = count * SAM_HEADS * (s * s) ** 2
        attention = tokens * SAM_H * 3 * SAM_H + 2 * scores * SAM_HEAD
        attention += 2 * tokens * SAM_H * s  # each query against s rows and s columns
        attention += tokens * SAM_H * SAM_H
        mlp = 2 * patches * SAM_H * SAM_MLP
        macs += layers * (attention + mlp)
        work = 2 * LAYER_NORM * patches * SAM_H + 2 * patches * SAM_H  # norms, residuals
        work += tokens * 3 * SAM_H + tokens * SAM_H + tokens * SAM_H  # biases, scaled queries
        work += (1 + 1 + SOFTMAX) * scores  # both axes added, bias added, softmax
        work += patches * (SAM_MLP + GELU * SAM_MLP + SAM_H)
        resized = s != TRAINED if s == n and layers == SAM_GLOBAL else False
        if resized or not page.vendor:
            work += LINEAR * 2 * (2 * s - 1) * SAM_HEAD
        vector += layers * work
    macs += patches * SAM_H * NECK + patches * 9 * NECK * NECK
    vector += 2 * LAYER_NORM * patches * NECK
    half, quarter = views * (n // 2) ** 2, views * (n // 4) ** 2
    macs += half * 9 * NECK * 512 + quarter * 9 * 512 * 1024
    return macs, vector


def clip(views: int, side: int) -> tuple[int, int]:
    """MACs and vector FLOPs of CLIP in one call."""
    q = side // 64
    tokens = views * (q * q + 1)
    scores = views * CLIP_HEADS * (q * q + 1) ** 2
    macs = 4 * tokens * CLIP_H * CLIP_H + 2 * scores * (CLIP_H // CLIP_HEADS)
    macs += 2 * tokens * CLIP_H * CLIP_MLP
    work = 2 * LAYER_NORM * tokens * CLIP_H + 2 * tokens * CLIP_H
    work += 4 * tokens * CLIP_H + (1 + SOFTMAX) * scores
    work += tokens * (CLIP_MLP + QUICK_GELU * CLIP_MLP + CLIP_H)
    vector = CLIP_LAYERS * work + tokens * CLIP_H + LAYER_NORM * tokens * CLIP_H
    if q != CLIP_TRAINED:
        vector += BICUBIC * q * q * CLIP_H
    return CLIP_LAYERS * macs, vector


def projector(views: int, side: int) -> tuple[int, int]:
    """MACs and vector FLOPs of the projector in one call."""
    tokens = views * (side // 64) ** 2
    return tokens * (1024 + CLIP_H) * H, tokens * H


def features(page: Page) -> int:
    """Projected features of all views of all pages."""
    per_page = (page.base_size // 64) ** 2 + page.crops * (page.tile_size // 64) ** 2
    return page.batch * per_page


def image_tokens(page: Page) -> int:
    """Tokens of a page, newlines and separator included."""
    q, t = page.base_size // 64, page.tile_size // 64
    local = (t * page.n_w + 1) * t * page.n_h if page.crops else 0
    return q * (q + 1) + 1 + local


def vision(page: Page) -> dict[str, Figures]:
    """Vision and its parts."""
    calls = [(page.batch, page.base_size)]
    if page.crops:
        calls.append((page.batch * page.crops, page.tile_size))
    clip_stored = CLIP_USED + (CLIP_PATCH if page.vendor else 0)
    parts = {}
    for name, work, stored in (
        ("sam", [sam(page, *call) for call in calls], SAM_PARAMETERS),
        ("clip", [clip(*call) for call in calls], clip_stored),
        ("projector", [projector(*call) for call in calls], PROJECTOR_PARAMETERS),
    ):
        parts[name] = Figures(
            2 * sum(macs for macs, _ in work),
            sum(vector for _, vector in work),
            stored * page.weight_width,
        )
    pixels = sum(views * 3 * side * side for views, side in calls)
    used = SAM_PARAMETERS + CLIP_USED + PROJECTOR_PARAMETERS
    traffic = Figures(
        compulsory_read=pixels * page.activation_width + used * page.weight_width,
        compulsory_written=features(page) * H * page.activation_width,
    )
    whole = sum(parts.values(), traffic)
    return {"vision": whole} | {f"vision.{name}": part for name, part in parts.items()}


# The decoder on `tokens` new tokens of each sequence, `cached` before them.


def decoder(page: Page, tokens: int, cached: int, *, image: bool) -> Figures:
    """The decoder with its embedding and final norm."""
    rows = page.batch * tokens
    scores = page.batch * HEADS * tokens * (cached + tokens)
    attention = rows * DECODER_ATTENTION + 2 * scores * HEAD
    moe = rows * (EXPERTS * H + CHOSEN * EXPERT + 3 * H * SHARED_MLP)
    macs = LAYERS * attention + rows * 3 * H * DENSE_MLP + (LAYERS - 1) * moe
    tables = tokens * 4 * HEAD  # cos, sin and their scaling
    rms_norm = rows * (4 * H + 2)
    turned = 2 * rows * HEADS * HEAD  # queries and keys
    layer = 2 * rms_norm + 3 * turned + turned // 2 + (1 + SOFTMAX) * scores + 2 * rows * H
    routed = rows * (SOFTMAX * EXPERTS + EXPERTS + CHOSEN)
    routed += rows * CHOSEN * ((SILU + 1) * EXPERT_MLP + H + H)
    routed += rows * (SILU + 1) * SHARED_MLP + rows * H
    vector = LAYERS * layer + rows * (SILU + 1) * DENSE_MLP + (LAYERS - 1) * routed + rms_norm
    if page.vendor:
        macs += LAYERS * tokens * HEAD // 2
        vector += LAYERS * tables
    else:
        vector += tokens * HEAD // 2 + tables
    extra = 2 * H if image else 0
    touched = DECODER_LAYERS - (LAYERS - 1) * EXPERTS * EXPERT
    touched += (LAYERS - 1) * min(EXPERTS, CHOSEN * rows) * EXPERT
    cache = LAYERS * 2 * page.batch * H * page.kv_width
    read = 8 * rows + 8 * tokens + 4 * HEAD // 2
    read += (rows * H + touched + H + extra) * page.weight_width + cached * cache
    if image:
        read += features(page) * H * page.activation_width
    return Figures(
        2 * macs,
        vector,
        (EMBEDDING + DECODER_LAYERS + H + extra) * page.weight_width,
        (cached + tokens) * cache,
        read,
        rows * H * page.activation_width + tokens * cache,
    )


def lm_head(page: Page, rows: int) -> Figures:
    """The head on so many rows."""
    weight = H * VOCABULARY * page.weight_width
    return Figures(
        2 * rows * H * VOCABULARY,
        0,
        weight,
        0,
        rows * H * page.activation_width + weight,
        rows * VOCABULARY * page.activation_width,
    )


def textbook(page: Page) -> dict[str, Figures]:
    """Every stage and part of a workload."""
    costs = vision(page)
    rows = page.batch * (1 if page.lm_head_last else page.context_len)
    prefill = {
        "vision": costs["vision"],
        "decoder": decoder(page, page.context_len, 0, image=True),
        "lm_head": lm_head(page, rows),
    }
    decode = {
        "decoder": decoder(page, 1, page.cached, image=False),
        "lm_head": lm_head(page, page.batch),
    }
    for stage, parts in (("prefill", prefill), ("decode", decode)):
        costs[stage] = sum(parts.values(), Figures())
        costs |= {f"{stage}.{name}": part for name, part in parts.items()}
    return costs
