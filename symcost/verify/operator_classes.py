"""Operators of torch and rules of symcost, in classes whose bytes are compared with each other.

One class has several operators where the two sides cut a chain differently: a rule may be one
kernel of torch or another of the same kind. Nothing here needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from symcost.cost import Direction
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.geometry import STEP
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload
from symcost.symbols import INDEX_WIDTH


@dataclass(frozen=True)
class OperatorClass:
    """Operators whose bytes are compared as a sum.

    Parameters
    ----------
    name : str
        What they are.
    rules, torch : tuple of str
        The rules of symcost, and the operators of torch without `aten.`.
    """

    name: str
    rules: tuple[str, ...]
    torch: tuple[str, ...]


CLASSES = (
    OperatorClass(
        "product",
        ("linear", "matmul", "einsum", "grouped_linear"),
        ("mm", "addmm", "bmm", "baddbmm"),
    ),
    OperatorClass("convolution", ("conv2d",), ("convolution",)),
    OperatorClass("softmax", ("softmax",), ("_softmax",)),
    OperatorClass("norm", ("layer_norm",), ("native_layer_norm",)),
    OperatorClass(
        "pointwise",
        (
            *("add", "mul", "neg", "scale", "square", "rsqrt", "cos", "sin", "sigmoid", "silu"),
            *("gelu", "index_arithmetic"),
        ),
        (
            *("add", "mul", "neg", "sub", "pow", "rsqrt", "cos", "sin", "sigmoid", "silu", "gelu"),
            "eq",
        ),
    ),
    OperatorClass("reduction", ("mean",), ("mean", "sum")),
    OperatorClass("choice", ("top_k",), ("topk",)),
    OperatorClass("lookup", ("embedding", "gather"), ("embedding", "index")),
    OperatorClass(
        "movement",
        (
            *("copy", "cast", "pad", "crop", "concat", "cache_append", "arange"),
            *("interpolate_bicubic", "interpolate_linear", "masked_scatter"),
        ),
        (
            *("clone", "_to_copy", "constant_pad_nd", "cat", "arange", "zeros"),
            *("_upsample_bicubic2d_aa", "upsample_linear1d", "masked_scatter"),
        ),
    ),
)
IN_EXPERTS = OperatorClass(
    "routing",
    (*("sort_by_expert", "dispatch", "mul", "silu", "weigh", "combine"),),
    (
        *("zeros_like", "zeros", "scatter_", "sum", "aminmax", "gt", "nonzero", "eq"),
        *("_local_scalar_dense", "index", "silu", "mul", "_to_copy", "index_add_"),
    ),
)
"""All but the products of routed experts: the reference's loop over them cuts its chain anew."""

_OF_RULE = {rule: kind.name for kind in CLASSES for rule in kind.rules}
_OF_TORCH = {operator: kind.name for kind in CLASSES for operator in kind.torch}
EXPERTS = ".mlp.experts"
"""What the paths of routed experts hold."""


def class_of_rule(rule: str, path: str) -> str:
    """The class of a rule of symcost at a path; its own name where it has none."""
    return _class(rule, path, _OF_RULE, IN_EXPERTS.rules)


def class_of_torch(operator: str, module: str) -> str:
    """The class of an operator of torch, such as `aten.mm`, in a module; else its own name."""
    return _class(operator.removeprefix("aten."), module, _OF_TORCH, IN_EXPERTS.torch)


def _class(name: str, path: str, known: Mapping[str, str], in_experts: tuple[str, ...]) -> str:
    if EXPERTS in path and name in in_experts:
        return IN_EXPERTS.name
    return known.get(name, name)


@dataclass(frozen=True)
class Declared:
    """Bytes that the real code moves beyond what is stated, or less of them, and why.

    Parameters
    ----------
    reason : str
        Why.
    modules : str
        A regular expression of the modules whose own operators move them.
    kind : str
        The class of these operators.
    more : callable
        How many bytes they are for a workload, by direction; negative where the real code moves
        less.
    """

    reason: str
    modules: str
    kind: str
    more: Callable[[Workload, Direction], int]


def declared(module: str, kind: str, direction: Direction, workload: Workload) -> list[Declared]:
    """The differences that there are in a module for a workload."""
    return [
        known
        for known in DECLARED
        if known.kind == kind
        and re.fullmatch(known.modules, module)
        and known.more(workload, direction)
    ]


_CONFIG = published()
_SAM, _CLIP, _TEXT = _CONFIG.sam, _CONFIG.clip, _CONFIG.decoder
_WIDTH, _INDEX = int(Widths().activations), int(INDEX_WIDTH)
_SAM_LAYERS = r"model\.vision_tower\.sam_encoder\.layers\."
_GLOBAL = "|".join(map(str, _SAM.global_layers))
_WINDOWED = "|".join(str(i) for i in range(_SAM.layers) if i not in _SAM.global_layers)
_TRAINED = (_CLIP.image_side // _CLIP.patch) ** 2 + 1


def _calls(workload: Workload) -> Iterator[tuple[int, int]]:
    """How many views of which side in pixels each call of the vision tower sees."""
    seen = workload.views
    if seen is not None:
        yield workload.batch, int(seen.base_size)
        if seen.crops:
            yield workload.batch * int(seen.crops), int(seen.tile_size)


def _windows(side: int) -> int:
    return (-(-side // _SAM.patch // _SAM.window)) ** 2


def _heads_of_a_view(workload: Workload, _: Direction) -> int:
    patches = ((side // _SAM.patch) ** 2 for views, side in _calls(workload) if views == 1)
    return -2 * _WIDTH * _SAM.hidden * sum(patches)


def _heads_of_a_window(workload: Workload, _: Direction) -> int:
    single = sum(views * _windows(side) == 1 for views, side in _calls(workload))
    return -2 * _WIDTH * _SAM.hidden * _SAM.window**2 * single


def _heads_of_clip(workload: Workload, _: Direction) -> int:
    tokens = ((side // STEP) ** 2 + 1 for views, side in _calls(workload) if views == 1)
    return -3 * _WIDTH * _CLIP.hidden * sum(tokens)


def _heads_of_a_sequence(workload: Workload, _: Direction) -> int:
    copies = 2 if workload.context_len == 1 else int(workload.batch == 1)
    return -copies * _WIDTH * _TEXT.hidden * workload.batch * workload.context_len


def _single_windows(workload: Workload, _: Direction) -> int:
    views = sum(views for views, side in _calls(workload) if _windows(side) == 1)
    return -2 * _WIDTH * _SAM.hidden * _SAM.window**2 * views


def _whole_windows(workload: Workload, _: Direction) -> int:
    patches = (
        views * (side // _SAM.patch) ** 2
        for views, side in _calls(workload)
        if side // _SAM.patch % _SAM.window == 0
    )
    return -_WIDTH * _SAM.hidden * sum(patches)


def _at_trained_side(workload: Workload) -> int:
    return sum((side // STEP) ** 2 + 1 == _TRAINED for _, side in _calls(workload))


def _positions_looked_up(workload: Workload, direction: Direction) -> int:
    numbers = _INDEX if direction is Direction.READ else 0
    return (_WIDTH * _CLIP.hidden + numbers) * _TRAINED * _at_trained_side(workload)


def _positions_not_put_together(workload: Workload, _: Direction) -> int:
    return -_WIDTH * _CLIP.hidden * _TRAINED * _at_trained_side(workload)


def _tiles_in_order(workload: Workload, _: Direction) -> int:
    seen = workload.views
    if seen is None or (seen.columns != 1 and seen.tile_size != STEP):
        return 0
    features = int(seen.crops) * (int(seen.tile_size) // STEP) ** 2
    return -_WIDTH * _TEXT.hidden * workload.batch * features


def _marks_again(workload: Workload, direction: Direction) -> int:
    marks = 1 + sum(1 for _ in _calls(workload))
    again = (workload.batch - 1) * (direction is Direction.READ)
    return again * marks * _WIDTH * _TEXT.hidden if workload.views is not None else 0


def _image_token(workload: Workload, direction: Direction) -> int:
    with_page = workload.views is not None
    return with_page * (2 * _INDEX if direction is Direction.READ else _INDEX + 1)


def _places_counted(workload: Workload, direction: Direction) -> int:
    places = workload.batch * workload.context_len
    return (workload.views is not None) * (places if direction is Direction.READ else _INDEX)


def _ids(workload: Workload, direction: Direction) -> int:
    made = direction is Direction.WRITTEN
    return made * _INDEX * workload.batch * workload.context_len


def _numbers_made(workload: Workload, direction: Direction) -> int:
    return (direction is Direction.WRITTEN) * _INDEX * workload.context_len


def _numbers_shifted(workload: Workload, _: Direction) -> int:
    return _INDEX * workload.context_len


DECLARED = (
    Declared(
        "a single view: its heads lie in the order that a product wants",
        rf"{_SAM_LAYERS}({_GLOBAL})\.attn",
        "movement",
        _heads_of_a_view,
    ),
    Declared(
        "a single window of a single view: its heads lie in the order that a product wants",
        rf"{_SAM_LAYERS}({_WINDOWED})\.attn",
        "movement",
        _heads_of_a_window,
    ),
    Declared(
        "a single view: its heads lie in the order that a product wants",
        r".*\.vision_encoder\.encoder\.layers\.\d+\.self_attn",
        "movement",
        _heads_of_clip,
    ),
    Declared(
        "a single sequence or token: its heads lie in the order that a product wants",
        r".*\.language_model\.layers\.\d+\.self_attn",
        "movement",
        _heads_of_a_sequence,
    ),
    Declared(
        "a view of a single window is that window and need not be cut out",
        rf"{_SAM_LAYERS}({_WINDOWED})",
        "movement",
        _single_windows,
    ),
    Declared(
        "a grid of whole windows has no padding to be cut off",
        rf"{_SAM_LAYERS}({_WINDOWED})",
        "movement",
        _whole_windows,
    ),
    Declared(
        "at CLIP's trained side its positions are read by number",
        r".*\.embeddings\.position_embedding",
        "lookup",
        _positions_looked_up,
    ),
    Declared(
        "at CLIP's trained side its positions are not put together",
        r".*\.vision_encoder\.embeddings",
        "movement",
        _positions_not_put_together,
    ),
    Declared(
        "tiles of one column, or of one feature, are in reading order",
        r"model",
        "movement",
        _tiles_in_order,
    ),
    Declared(
        "images are put together one after the other, and each reads newline and separator anew",
        r"model",
        "movement",
        _marks_again,
    ),
    Declared(
        "the token of the image is compared with itself",
        r"model",
        "pointwise",
        _image_token,
    ),
    Declared("the places of the image are counted", r"model", "reduction", _places_counted),
    Declared(
        "token ids are made by whoever runs the model; stated is that they are given",
        r"",
        "movement",
        _ids,
    ),
    Declared(
        "the decoder numbers the positions; stated is that they are given",
        r"model\.language_model",
        "movement",
        _numbers_made,
    ),
    Declared(
        "the decoder shifts the numbers of positions behind what is cached",
        r"model\.language_model",
        "pointwise",
        _numbers_shifted,
    ),
)
"""All differences that there are, each known to the byte."""
