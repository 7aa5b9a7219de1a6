"""What the counters pass over, and why that loses nothing here. Anything else is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from symcost.errors import OperatorError
from symcost.verify.counters import Count


class Counter(StrEnum):
    """A counter that runs the real model."""

    TORCH = "FlopCounterMode"
    FVCORE = "fvcore"


@dataclass(frozen=True)
class BlindSpot:
    """Operators that a counter does not count, and the reason why they may pass.

    Parameters
    ----------
    counter : Counter
        Who does not see them.
    reason : str
        Why no matrix work is lost.
    operators : tuple of str
        Their names, as the counter tells them.
    """

    counter: Counter
    reason: str
    operators: tuple[str, ...]


_NO_ARITHMETIC = "makes, looks at or moves elements, or computes a size: no arithmetic on elements"
_VECTOR = (
    "vector work, no product of matrices: its FLOPs are stated at a documented cost per element "
    "and checked by the laws and by the independent page of arithmetic"
)
_GRADIENT = "gradient of vector work or of a movement: no product of matrices"

BLIND_SPOTS = (
    BlindSpot(
        Counter.TORCH,
        _NO_ARITHMETIC,
        (
            *("aten.zeros", "aten.empty", "aten.arange", "aten.ones_like", "aten.empty_like"),
            *("aten.new_zeros", "aten.new_empty_strided", "aten.fill_", "aten.copy_"),
            *("aten.view", "aten._unsafe_view", "aten.t", "aten.transpose", "aten.permute"),
            *("aten.expand", "aten.unsqueeze", "aten.squeeze", "aten.slice", "aten.select"),
            *("aten.split", "aten.split_with_sizes", "aten.unbind", "aten.alias", "aten.detach"),
            *("aten.clone", "aten._to_copy", "aten.cat", "aten.stack", "aten.constant_pad_nd"),
            *("aten.index", "aten.index_put", "aten.embedding", "aten.scatter"),
            *("aten.masked_scatter", "aten.masked_fill"),
        ),
    ),
    BlindSpot(
        Counter.TORCH,
        _VECTOR,
        (
            *("aten.add", "aten.sub", "aten.sub_", "aten.mul", "aten.div", "aten.neg", "aten.eq"),
            *("aten.pow", "aten.rsqrt", "aten.cos", "aten.sin", "aten.sigmoid", "aten.silu"),
            *("aten.gelu", "aten.mean", "aten.sum", "aten._softmax", "aten.native_layer_norm"),
            *("aten.topk", "aten.upsample_linear1d", "aten._upsample_bicubic2d_aa"),
        ),
    ),
    BlindSpot(
        Counter.TORCH,
        _GRADIENT,
        (
            *("aten._softmax_backward_data", "aten.native_layer_norm_backward"),
            *("aten.sigmoid_backward", "aten.gelu_backward", "aten.silu_backward"),
            *("aten.upsample_linear1d_backward", "aten._upsample_bicubic2d_aa_backward"),
            *("aten.slice_backward", "aten.select_backward", "aten.embedding_dense_backward"),
            "aten.masked_scatter_backward",
        ),
    ),
    BlindSpot(
        Counter.FVCORE,
        _NO_ARITHMETIC,
        (
            *("aten::arange", "aten::zeros", "aten::Int", "aten::ScalarImplicit", "aten::size"),
            *("aten::floor_divide", "aten::remainder", "aten::detach", "aten::dropout"),
            *("aten::view", "aten::reshape", "aten::reshape_as", "aten::flatten", "aten::expand"),
            *("aten::permute", "aten::transpose", "aten::contiguous", "aten::squeeze"),
            *("aten::unsqueeze", "aten::select", "aten::slice", "aten::split_with_sizes"),
            *("aten::chunk", "aten::unbind", "aten::cat", "aten::to", "aten::index"),
            *("aten::embedding", "aten::pad", "aten::repeat_interleave"),
        ),
    ),
    BlindSpot(
        Counter.FVCORE,
        _VECTOR,
        (
            *("aten::add", "aten::sub", "aten::rsub", "aten::mul", "aten::div", "aten::neg"),
            *("aten::pow", "aten::rsqrt", "aten::cos", "aten::sin", "aten::sigmoid"),
            *("aten::silu", "aten::gelu", "aten::mean", "aten::sum", "aten::softmax"),
            *("aten::topk", "aten::upsample_linear1d", "aten::_upsample_bicubic2d_aa"),
        ),
    ),
)
"""Every operator that may go uncounted."""

LIMITS = (
    "The decoder runs without a mask, so that every query sees every key as in DeepSeek-OCR; the "
    "port's default is a window over reference tokens.",
    "Experts run as batched_mm. The port's default, grouped_mm, does the same products in one "
    "kernel that neither counter sees.",
    "fvcore runs forward only.",
    "The reference vendor is not on PyPI and is not run. Its matrix work is the port's and the "
    "products of its rotary angles; the project's tests hold it to six counts that were taken on "
    "the vendor's code.",
    "Image tokens are compared with the features that the port makes of a page; the port's own "
    "comparison of the two needs values and is switched off.",
    "Vector FLOPs and bytes moved are seen by neither counter but for LayerNorm, which fvcore "
    "counts.",
)
"""What the comparison does not see besides operators."""


@dataclass(frozen=True)
class Undeclared:
    """An operator that a counter does not know and that nothing declares."""

    counter: Counter
    operator: str
    path: str

    def __str__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return (
            f"{self.operator} ran{where} and {self.counter} does not count it; give the counter a "
            "rule, or declare it in symcost/verify/blind_spots.py with the reason"
        )


def undeclared(
    counter: Counter, count: Count, declared: Iterable[BlindSpot] = BLIND_SPOTS
) -> list[Undeclared]:
    """The operators that went uncounted without being declared."""
    known = {name for spot in declared if spot.counter is counter for name in spot.operators}
    missed: Mapping[str, str] = count.uncounted
    return [Undeclared(counter, name, path) for name, path in missed.items() if name not in known]


def require_declared(counter: Counter, count: Count) -> None:
    """Raise where an operator went uncounted without being declared.

    Raises
    ------
    OperatorError
        There is one; the message names it, its module and what to do.
    """
    for gap in undeclared(counter, count):
        raise OperatorError(str(gap))
