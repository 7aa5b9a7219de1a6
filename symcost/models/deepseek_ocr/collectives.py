"""What devices exchange: the collectives of each part, with the bytes that they work on.

Counted are activations. The numbers and weights of experts that go with a row are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from symcost.exact import Amount, simplest
from symcost.models.deepseek_ocr.config import DecoderConfig
from symcost.models.deepseek_ocr.geometry import Views
from symcost.models.deepseek_ocr.parallel import Parallel
from symcost.paths import indexes
from symcost.symbols import B, Expr, S, Size, as_expr, w_a


class CollectiveKind(StrEnum):
    """What a group of devices does with a tensor."""

    ALL_REDUCE = "all-reduce"
    """Each device has a term of as many bytes, and gets the sum."""
    ALL_GATHER = "all-gather"
    """Each device has a share, and gets the whole of so many bytes."""
    ALL_TO_ALL = "all-to-all"
    """Each device has so many bytes, an equal share for every device, itself among them."""


@dataclass(frozen=True)
class Collective:
    """An exchange between the devices of a group.

    Parameters
    ----------
    path : str
        The module behind which it runs.
    kind : CollectiveKind
        What is done.
    count : int or sympy.Expr
        How often it runs.
    bytes : int, Fraction or sympy.Expr
        What one run works on; see the kind.
    group : int or sympy.Expr
        Devices that take part.
    """

    path: str
    kind: CollectiveKind
    count: Size
    bytes: Amount
    group: Size

    def repeated(self, times: Size) -> Collective:
        """The same so many times."""
        return replace(self, count=simplest(as_expr(self.count) * times))


def of_vision(config: DecoderConfig, views: Views, parallel: Parallel) -> Iterator[Collective]:
    """The features of all pages of a replica, of which each device has made some."""
    features = B * views.vision_tokens * config.hidden * w_a
    yield from _among(
        parallel.tensor, "model.multi_modal_projector", CollectiveKind.ALL_GATHER, 1, features
    )


def of_decoder(config: DecoderConfig, parallel: Parallel) -> Iterator[Collective]:
    """Sums behind what devices of a replica share, and rows on their way to experts and back."""
    language = "model.language_model"
    hidden = B * S * config.hidden * w_a
    rows = config.experts_per_token * hidden
    tensor = parallel.tensor
    yield from _among(tensor, f"{language}.embed_tokens", CollectiveKind.ALL_REDUCE, 1, hidden)
    for first, last in ((0, config.dense_layers), (config.dense_layers, config.layers)):
        count = last - first
        if not count:
            continue
        layers = f"{language}.layers.{indexes(list(range(first, last)))}"
        yield from _among(
            tensor, f"{layers}.self_attn.o_proj", CollectiveKind.ALL_REDUCE, count, hidden
        )
        if first >= config.dense_layers:
            for name in ("dispatch", "combine"):
                path = f"{layers}.mlp.experts.{name}"
                yield from _among(parallel.expert, path, CollectiveKind.ALL_TO_ALL, count, rows)
        yield from _among(tensor, f"{layers}.mlp", CollectiveKind.ALL_REDUCE, count, hidden)


def of_head(config: DecoderConfig, parallel: Parallel, *, last_only: bool) -> Iterator[Collective]:
    """The logits, of which each device has made those of its part of the vocabulary."""
    logits = B * (1 if last_only else S) * config.vocabulary * w_a
    yield from _among(parallel.tensor, "lm_head", CollectiveKind.ALL_GATHER, 1, logits)


def _among(
    group: Size, path: str, kind: CollectiveKind, count: int, payload: Expr
) -> Iterator[Collective]:
    """A collective, where there is more than one device to take part."""
    if group != 1:
        yield Collective(path, kind, count, payload, group)
