"""The language model head."""

from __future__ import annotations

from symcost.graph import Scope
from symcost.layers.linear import dense
from symcost.symbols import Size
from symcost.tensor import Tensor


def head(g: Scope, hidden: Tensor, *, vocabulary: Size, last_only: bool) -> Tensor:
    """Logits of all tokens of (b, s, h), or of the last one of each sequence."""
    if last_only:
        hidden = hidden.slice(1, hidden.shape[1] - 1, 1)
    return dense(g, hidden, vocabulary)
