"""The whole cost of DeepSeek-OCR as one page of integer arithmetic: an oracle for symcost.

Nothing of symcost is used. Each function follows the forward pass of the module that it is named
after (transformers, ``models/unlimited_ocr/modeling_unlimited_ocr.py``, eager attention) and can be
checked against it line by line. A MAC is 2 matrix FLOPs; every arithmetic operation or elementary
function on an element is 1 vector FLOP; casts, copies, gathers, padding and index arithmetic are 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

Bytes = int | Fraction

# SAM ViT-B
SAM_WIDTH, SAM_HEADS, SAM_HEAD_DIM, SAM_MLP = 768, 12, 64, 3072
SAM_WINDOWED_LAYERS, SAM_GLOBAL_LAYERS, WINDOW = 8, 4, 14
PATCH, TRAINED_PATCHES = 16, 64  # trained on 1024 px: 64 patches a side
NECK, DOWN_1, DOWN_2 = 256, 512, 1024
# CLIP-L
CLIP_WIDTH, CLIP_HEADS, CLIP_MLP, CLIP_LAYERS = 1024, 16, 4096, 24
CLIP_PATCH, TRAINED_FEATURES = 14, 16  # trained on 224 px: 16 patches a side
# Decoder
HIDDEN, LAYERS, HEADS, HEAD_DIM, DENSE_MLP = 1280, 12, 10, 128, 6848
MOE_LAYERS, EXPERTS, TOP_K, EXPERT_MLP, SHARED_MLP = 11, 64, 6, 896, 2 * 896
VOCABULARY = 129_280

# Vector FLOPs per element
SOFTMAX = 5  # max, subtract, exp, sum, divide
LAYER_NORM = 7  # mean, subtract, square, mean, times rsqrt, weight, bias
GELU = 5  # x * 0.5 * (1 + erf(x / sqrt 2))
SILU = 5  # sigmoid is 4 (neg, exp, add, reciprocal), times x
QUICK_GELU = 6  # x * sigmoid(1.702 * x)
BICUBIC = 32  # 16 taps, a multiply and an add each
LINEAR_INTERPOLATION = 4  # 2 taps

ID_BYTES, FP32_BYTES = 8, 4


@dataclass(frozen=True)
class Page:
    """A workload: ``batch`` sequences of one image each."""

    batch: int
    base_size: int  # side of the global view, pixels
    tile_size: int
    n_w: int  # columns of the crop grid; 0 by 0 is no crops
    n_h: int
    context_len: int  # tokens of the prefill, per sequence
    cached: int  # tokens in the cache before the decode step, per sequence
    lm_head_last: bool = False  # the prefill's lm_head runs on the last token only
    reference: str = "vendor"  # or "transformers"
    weight_width: Bytes = 2  # bytes per element
    activation_width: Bytes = 2
    kv_width: Bytes = 2

    @property
    def vendor(self) -> bool:
        """Whether the vendor's own code is counted, not the port."""
        return {"vendor": True, "transformers": False}[self.reference]

    @property
    def views(self) -> list[tuple[int, int]]:
        """The calls of the vision tower: (number of views, side in pixels)."""
        tiles = self.batch * self.n_w * self.n_h
        return [(self.batch, self.base_size)] + [(tiles, self.tile_size)] * (tiles > 0)


@dataclass(frozen=True)
class Work:
    """MACs on the matrix engine and FLOPs on the vector units."""

    macs: int = 0
    vector: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.macs + other.macs, self.vector + other.vector)

    def __rmul__(self, times: int) -> Work:
        return Work(times * self.macs, times * self.vector)


@dataclass(frozen=True)
class Figures:
    """What a stage or a part of it costs."""

    matrix_flops: int
    vector_flops: int
    weight_bytes: Bytes  # resident; a module that runs twice counts once
    kv_bytes: Bytes  # the cache after the stage
    compulsory_read: Bytes | None  # if each call were one kernel; None for parts of vision
    compulsory_written: Bytes | None

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.matrix_flops + other.matrix_flops,
            self.vector_flops + other.vector_flops,
            self.weight_bytes + other.weight_bytes,
            self.kv_bytes + other.kv_bytes,
            _sum(self.compulsory_read, other.compulsory_read),
            _sum(self.compulsory_written, other.compulsory_written),
        )


def _sum(a: Bytes | None, b: Bytes | None) -> Bytes | None:
    return None if a is None or b is None else a + b


# --- Parameters ---


def _linear_parameters(fan_in: int, fan_out: int) -> int:
    return fan_in * fan_out + fan_out


def _sam_layer_parameters(side: int) -> int:
    norms = 2 * (2 * SAM_WIDTH)
    qkv = _linear_parameters(SAM_WIDTH, 3 * SAM_WIDTH)
    proj = _linear_parameters(SAM_WIDTH, SAM_WIDTH)
    relative_tables = 2 * (2 * side - 1) * SAM_HEAD_DIM
    mlp = _linear_parameters(SAM_WIDTH, SAM_MLP) + _linear_parameters(SAM_MLP, SAM_WIDTH)
    return norms + qkv + proj + relative_tables + mlp


def _sam_parameters() -> int:
    patch_embed = _linear_parameters(3 * PATCH**2, SAM_WIDTH)
    absolute_table = TRAINED_PATCHES**2 * SAM_WIDTH
    layers = SAM_WINDOWED_LAYERS * _sam_layer_parameters(WINDOW)
    layers += SAM_GLOBAL_LAYERS * _sam_layer_parameters(TRAINED_PATCHES)
    neck = SAM_WIDTH * NECK + 2 * NECK + 9 * NECK * NECK + 2 * NECK
    downsampling = 9 * NECK * DOWN_1 + 9 * DOWN_1 * DOWN_2
    return patch_embed + absolute_table + layers + neck + downsampling


def _clip_parameters() -> int:
    """CLIP's parameters that run: all but the vendor's patch convolution."""
    embeddings = CLIP_WIDTH + (TRAINED_FEATURES**2 + 1) * CLIP_WIDTH
    attention = 4 * _linear_parameters(CLIP_WIDTH, CLIP_WIDTH)
    mlp = _linear_parameters(CLIP_WIDTH, CLIP_MLP) + _linear_parameters(CLIP_MLP, CLIP_WIDTH)
    norm = 2 * CLIP_WIDTH
    return embeddings + norm + CLIP_LAYERS * (attention + mlp + 2 * norm)


CLIP_PATCH_CONVOLUTION = CLIP_WIDTH * 3 * CLIP_PATCH**2  # the vendor's; it never runs
EXPERT = 3 * HIDDEN * EXPERT_MLP
ROUTED_EXPERTS = MOE_LAYERS * EXPERTS * EXPERT
ATTENTION_AND_NORMS = 4 * HIDDEN * HIDDEN + 2 * HIDDEN
MOE_BUT_EXPERTS = EXPERTS * HIDDEN + 3 * HIDDEN * SHARED_MLP
DECODER_BUT_EXPERTS = (
    LAYERS * ATTENTION_AND_NORMS + 3 * HIDDEN * DENSE_MLP + MOE_LAYERS * MOE_BUT_EXPERTS
)

#: Parameters of the vendor's model by part; the port has no patch convolution in CLIP.
PARAMETERS: dict[str, int] = {
    "embedding": VOCABULARY * HIDDEN,
    "decoder layers": DECODER_BUT_EXPERTS + ROUTED_EXPERTS,
    "sam": _sam_parameters(),
    "clip": _clip_parameters() + CLIP_PATCH_CONVOLUTION,
    "projector": _linear_parameters(DOWN_2 + CLIP_WIDTH, HIDDEN),
    "lm_head": VOCABULARY * HIDDEN,
    "final norm": HIDDEN,
    "newline": HIDDEN,
    "separator": HIDDEN,
}


# --- Operators ---


def linear(rows: int, fan_in: int, fan_out: int, *, bias: bool = False) -> Work:
    """Product of (rows, fan_in) and (fan_in, fan_out), and a bias; a convolution is one too."""
    return Work(rows * fan_in * fan_out, rows * fan_out * bias)


def per_element(flops: int, elements: int) -> Work:
    """Elementwise work."""
    return Work(0, flops * elements)


def rms_norm(rows: int) -> Work:
    """Square, mean, times rsqrt, times weight; per row, plus eps and rsqrt."""
    return Work(0, 4 * rows * HIDDEN + 2 * rows)


# --- Vision ---


def feature_side(side: int) -> int:
    """Side of the feature map: patches of 16, halved twice by convolutions of stride 2."""
    return -(-(side // PATCH) // 4)


def sam_attention(windows: int, side: int) -> Work:
    """Attention in windows of side x side patches, with decomposed relative positions."""
    tokens = windows * side**2
    scores = windows * SAM_HEADS * side**4
    work = linear(tokens, SAM_WIDTH, 3 * SAM_WIDTH, bias=True)
    work += per_element(1, tokens * SAM_WIDTH)  # query * scale
    work += Work(scores * SAM_HEAD_DIM)  # query @ key
    work += 2 * Work(tokens * SAM_WIDTH * side)  # rel_h, rel_w: each query with its axis' keys
    work += per_element(1 + 1 + SOFTMAX, scores)  # rel_h + rel_w, scores + bias, softmax
    work += Work(scores * SAM_HEAD_DIM)  # probabilities @ value
    return work + linear(tokens, SAM_WIDTH, SAM_WIDTH, bias=True)


def relative_tables(side: int, *, resize: bool) -> Work:
    """Both axes' tables of a layer resized to the attended side: once per call, not per view."""
    return per_element(LINEAR_INTERPOLATION * resize, 2 * (2 * side - 1) * SAM_HEAD_DIM)


def sam(views: int, side: int, *, vendor: bool) -> Work:
    """SAM's encoder on views of side x side pixels."""
    n = side // PATCH
    half, quarter = -(-n // 2), feature_side(side)
    patches = views * n**2
    untrained = n != TRAINED_PATCHES

    work = linear(patches, 3 * PATCH**2, SAM_WIDTH, bias=True)
    work += per_element(BICUBIC * untrained, n**2 * SAM_WIDTH)  # the absolute table
    work += per_element(1, patches * SAM_WIDTH)  # added

    windows = views * (-(-n // WINDOW)) ** 2  # padded before qkv: padding pays attention
    windowed = sam_attention(windows, WINDOW) + relative_tables(WINDOW, resize=not vendor)
    attends_all = sam_attention(views, n) + relative_tables(n, resize=untrained or not vendor)
    rest = 2 * per_element(LAYER_NORM, patches * SAM_WIDTH)
    rest += linear(patches, SAM_WIDTH, SAM_MLP, bias=True)
    rest += per_element(GELU, patches * SAM_MLP)
    rest += linear(patches, SAM_MLP, SAM_WIDTH, bias=True)
    rest += 2 * per_element(1, patches * SAM_WIDTH)  # residuals
    work += SAM_WINDOWED_LAYERS * (windowed + rest) + SAM_GLOBAL_LAYERS * (attends_all + rest)

    work += linear(patches, SAM_WIDTH, NECK) + linear(patches, 9 * NECK, NECK)
    work += 2 * per_element(LAYER_NORM, patches * NECK)
    work += linear(views * half**2, 9 * NECK, DOWN_1)
    return work + linear(views * quarter**2, 9 * DOWN_1, DOWN_2)


def clip(views: int, side: int) -> Work:
    """CLIP's encoder on SAM's features and a class token."""
    features = feature_side(side) ** 2
    tokens = views * (features + 1)
    scores = views * CLIP_HEADS * (features + 1) ** 2
    untrained = feature_side(side) != TRAINED_FEATURES

    work = per_element(BICUBIC * untrained, features * CLIP_WIDTH)  # the class's position stays
    work += per_element(1 + LAYER_NORM, tokens * CLIP_WIDTH)  # add positions, normalise

    layer = 2 * per_element(LAYER_NORM, tokens * CLIP_WIDTH)
    layer += 4 * linear(tokens, CLIP_WIDTH, CLIP_WIDTH, bias=True)  # q, k, v, out
    layer += 2 * Work(scores * (CLIP_WIDTH // CLIP_HEADS))  # query @ key, probabilities @ value
    layer += per_element(1 + SOFTMAX, scores)  # scaling
    layer += linear(tokens, CLIP_WIDTH, CLIP_MLP, bias=True)
    layer += per_element(QUICK_GELU, tokens * CLIP_MLP)
    layer += linear(tokens, CLIP_MLP, CLIP_WIDTH, bias=True)
    layer += 2 * per_element(1, tokens * CLIP_WIDTH)  # residuals
    return work + CLIP_LAYERS * layer


def projector(views: int, side: int) -> Work:
    """One linear layer on CLIP's features beside SAM's."""
    return linear(views * feature_side(side) ** 2, CLIP_WIDTH + DOWN_2, HIDDEN, bias=True)


# --- Decoder ---


def rotary_tables(tokens: int, *, vendor: bool) -> Work:
    """Cosine and sine of position times frequency: of the positions, whatever the batch."""
    angles = tokens * (HEAD_DIM // 2)
    frequencies = Work(macs=angles) if vendor else Work(vector=angles)
    return frequencies + per_element(2 * (1 + 1), 2 * angles)  # cos, sin, each times a scaling


def decoder_attention(batch: int, new: int, keys: int) -> Work:
    """Attention of ``new`` queries a sequence to ``keys`` keys, without a mask."""
    rows, scores = batch * new, batch * HEADS * new * keys
    work = 4 * linear(rows, HIDDEN, HIDDEN)  # q, k, v, o
    # Rotary on q and k: two products and a sum on all elements, half of them negated.
    work += 2 * (per_element(3, rows * HIDDEN) + per_element(1, rows * HIDDEN // 2))
    work += 2 * Work(scores * HEAD_DIM)  # query @ key, probabilities @ value
    return work + per_element(1 + SOFTMAX, scores)  # scaling


def gated_mlp(rows: int, width: int) -> Work:
    """SwiGLU: down(silu(gate(x)) * up(x))."""
    products = 2 * linear(rows, HIDDEN, width) + linear(rows, width, HIDDEN)
    return products + per_element(SILU + 1, rows * width)


def mixture_of_experts(rows: int) -> Work:
    """64 routed experts, 6 a token, and the shared ones."""
    router = linear(rows, HIDDEN, EXPERTS) + per_element(SOFTMAX + 1, rows * EXPERTS)  # top-k: 1
    router += per_element(1, rows * TOP_K)  # times routed_scaling_factor
    pairs = rows * TOP_K
    experts = gated_mlp(pairs, EXPERT_MLP) + per_element(1 + 1, pairs * HIDDEN)  # weigh, index_add
    return router + experts + gated_mlp(rows, SHARED_MLP) + per_element(1, rows * HIDDEN)


def decoder_layers(batch: int, new: int, cached: int, *, vendor: bool) -> Work:
    """All layers and the final norm, on ``new`` tokens a sequence with ``cached`` before them."""
    rows = batch * new
    layer = decoder_attention(batch, new, cached + new)
    layer += 2 * rms_norm(rows) + 2 * per_element(1, rows * HIDDEN)  # residuals
    mlps = gated_mlp(rows, DENSE_MLP) + MOE_LAYERS * mixture_of_experts(rows)
    tables = (LAYERS if vendor else 1) * rotary_tables(new, vendor=vendor)
    return tables + LAYERS * layer + mlps + rms_norm(rows)


# --- Parts and stages ---


def image_tokens(page: Page) -> int:
    """Tokens of an image in its sequence: a newline a row, and one separator.

    As in the vendor's ``infer``, a grid of one crop has no local tokens (no image has such a grid).
    """
    base, tile = feature_side(page.base_size), feature_side(page.tile_size)
    local = (tile * page.n_w + 1) * tile * page.n_h if page.n_w * page.n_h > 1 else 0
    return base * (base + 1) + 1 + local


def _feature_elements(page: Page) -> int:
    return sum(views * feature_side(side) ** 2 for views, side in page.views) * HIDDEN


def _vision(page: Page) -> dict[str, Figures]:
    def part(calls: list[Work], parameters: int) -> Figures:
        work = sum(calls, Work())
        weights = parameters * page.weight_width
        return Figures(2 * work.macs, work.vector, weights, 0, None, None)

    clip_resident = _clip_parameters() + CLIP_PATCH_CONVOLUTION * page.vendor
    parts = {
        "vision.sam": part([sam(*v, vendor=page.vendor) for v in page.views], PARAMETERS["sam"]),
        "vision.clip": part([clip(*v) for v in page.views], clip_resident),
        "vision.projector": part([projector(*v) for v in page.views], PARAMETERS["projector"]),
    }
    pixels = sum(views * 3 * side**2 for views, side in page.views)
    used = PARAMETERS["sam"] + _clip_parameters() + PARAMETERS["projector"]
    whole = replace(
        parts["vision.sam"] + parts["vision.clip"] + parts["vision.projector"],
        compulsory_read=pixels * page.activation_width + used * page.weight_width,
        compulsory_written=_feature_elements(page) * page.activation_width,
    )
    return {"vision": whole, **parts}


def _decoder(page: Page, new: int, cached: int, *, image: bool) -> Figures:
    rows = page.batch * new
    work = decoder_layers(page.batch, new, cached, vendor=page.vendor)
    marks = (PARAMETERS["newline"] + PARAMETERS["separator"]) * image
    resident = PARAMETERS["embedding"] + PARAMETERS["decoder layers"] + HIDDEN + marks
    experts = MOE_LAYERS * 3 * expected_weights_of_a_matrix(rows)
    touched = rows * HIDDEN + DECODER_BUT_EXPERTS + experts + HIDDEN + marks
    indices = (rows + new) * ID_BYTES + HEAD_DIM // 2 * FP32_BYTES  # ids, positions, inv_freq
    features = _feature_elements(page) * image * page.activation_width
    kv_token = 2 * LAYERS * HIDDEN * page.kv_width
    return Figures(
        matrix_flops=2 * work.macs,
        vector_flops=work.vector,
        weight_bytes=resident * page.weight_width,
        kv_bytes=page.batch * (cached + new) * kv_token,
        compulsory_read=touched * page.weight_width
        + (indices + features + page.batch * cached * kv_token),
        compulsory_written=rows * kv_token + rows * HIDDEN * page.activation_width,
    )


def expected_weights_of_a_matrix(rows: int) -> int:
    """Weights of one of the experts' three matrices that so many tokens read on average.

    A token misses an expert with probability 1 - 6/64, independently of other tokens.
    """
    missed = Fraction(EXPERTS - TOP_K, EXPERTS) ** rows
    return floor(HIDDEN * EXPERT_MLP * EXPERTS * (1 - missed) + Fraction(1, 2))


def _lm_head(page: Page, rows: int) -> Figures:
    weights = PARAMETERS["lm_head"] * page.weight_width
    return Figures(
        matrix_flops=2 * linear(rows, HIDDEN, VOCABULARY).macs,
        vector_flops=0,
        weight_bytes=weights,
        kv_bytes=0,
        compulsory_read=rows * HIDDEN * page.activation_width + weights,
        compulsory_written=rows * VOCABULARY * page.activation_width,
    )


def textbook(page: Page) -> dict[str, Figures]:
    """Figures of every stage and of its parts, by dotted name (``"prefill.decoder"``).

    Parameters
    ----------
    page
        The workload.
    """
    vision = _vision(page)
    tower = vision["vision"]
    prompt = _decoder(page, page.context_len, 0, image=True)
    prompt_head = _lm_head(page, page.batch * (1 if page.lm_head_last else page.context_len))
    step = _decoder(page, 1, page.cached, image=False)
    step_head = _lm_head(page, page.batch)
    return {
        **vision,
        "prefill": tower + prompt + prompt_head,
        "prefill.vision": tower,
        "prefill.decoder": prompt,
        "prefill.lm_head": prompt_head,
        "decode": step + step_head,
        "decode.decoder": step,
        "decode.lm_head": step_head,
    }
