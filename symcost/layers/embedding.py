"""Token embedding, and image features taken into the sequence."""

from __future__ import annotations

from symcost.graph import Scope
from symcost.operators import concat, copy, embedding, index_arithmetic, masked_scatter
from symcost.symbols import Size, as_expr
from symcost.tensor import Tensor


def token_embedding(g: Scope, ids: Tensor, *, vocabulary: Size, features: Size) -> Tensor:
    """The rows of token ids (b, s) in the embedding table (torch: nn.Embedding)."""
    return embedding(g, g.weight("weight", vocabulary, features), ids)


def with_newlines(g: Scope, grid: Tensor, newline: Tensor) -> Tensor:
    """A grid (b, r, c, h) with a newline after each row, flat: (b, r·(c + 1), h)."""
    batch, rows, columns, features = grid.shape
    column = newline.reshape(1, 1, 1, features).expand(batch, rows, 1, features)
    return concat(g / "newlines", grid, column, dim=2).reshape(
        batch, rows * (columns + 1), features
    )


def image_sequence(
    g: Scope, whole: Tensor, tiles: Tensor, *, columns: Size, rows: Size, condition: Size
) -> Tensor:
    """Features of the global view (b, q, q, h) and of tiles (b, r, c, q, q, h) as one sequence.

    Tiles in reading order, the global view, a separator; a newline after each row of either.
    Transformers: get_image_features of UnlimitedOcrModel.
    """
    batch, _, _, features = whole.shape
    side = tiles.shape[-2]
    newline = g.weight("image_newline", features)
    inner = (g / "tiles").when(as_expr(condition))
    in_rows = copy(inner / "by_row", tiles.permute(0, 1, 3, 2, 4, 5)).reshape(
        batch, rows * side, columns * side, features
    )
    local = with_newlines(inner, in_rows, newline)
    overall = with_newlines(g / "global", whole, newline)
    separator = g.weight("view_separator", features).reshape(1, 1, features)
    return concat(g / "image_features", local, overall, separator.expand(batch, 1, features), dim=1)


def take_in(g: Scope, embedded: Tensor, features: Tensor, ids: Tensor) -> Tensor:
    """Embedded tokens with the image's features in the places of its tokens."""
    together = copy(g / "all_images", features)
    places = index_arithmetic(g / "image_places", ids, width=as_expr(1))
    return masked_scatter(g / "put_in", embedded, together, places)
