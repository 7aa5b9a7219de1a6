"""From pages to grids and tokens, against the vendor's counts in FACTS.md."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import InputError
from symcost.models.deepseek_ocr.geometry import (
    SYMBOLIC,
    Views,
    crop_grid,
    page_size,
    queries,
    views_of_page,
)
from symcost.symbols import I_g, I_t, n_h, n_w


@pytest.mark.parametrize(("size", "tokens"), [(512, 73), (640, 111), (1024, 273), (1280, 421)])
def test_tokens_of_a_single_view(size, tokens):
    assert Views(size, 640, 0, 0).image_tokens == tokens


@pytest.mark.parametrize(
    ("grid", "image_tokens", "vision_tokens"),
    [((2, 1), 483, 456), ((3, 2), 893, 856), ((2, 3), 903, 856)],
)
def test_tokens_with_crops(grid, image_tokens, vision_tokens):
    views = Views(1024, 640, *grid)
    assert (views.image_tokens, views.vision_tokens) == (image_tokens, vision_tokens)


def test_symbolic_tokens_are_the_numbers():
    for size, tile, columns, rows in ((1024, 640, 2, 3), (512, 640, 0, 0), (1280, 512, 9, 1)):
        point = {I_g: size, I_t: tile, n_w: columns, n_h: rows}
        views = Views(size, tile, columns, rows)
        assert SYMBOLIC.image_tokens.xreplace(point) == views.image_tokens
        assert SYMBOLIC.vision_tokens.xreplace(point) == views.vision_tokens


@given(st.integers(1, 64))
def test_features_of_a_side(count):
    side = 64 * count
    assert queries(side) == -(-(side // 16) // 4)


@pytest.mark.parametrize(
    ("page", "grid"),
    [
        ((640, 640), (0, 0)),  # fits into a tile
        ((641, 640), (2, 2)),  # the square grids tie: 2x2 comes first, 3x3 needs a larger page
        ((1654, 2339), (2, 3)),  # A4: 0.707 is nearest to 2/3
        ((2339, 1654), (3, 2)),
        ((1000, 1000), (2, 2)),
        # 3x3 replaces 2x2 on the tie when the page has over half of nine tiles' pixels:
        # side^2 > 0.5 * 640^2 * 9, so from 1358 on.
        ((1357, 1357), (2, 2)),
        ((1358, 1358), (3, 3)),
        ((10_000, 100), (9, 1)),
        ((100, 10_000), (1, 9)),
        ((641, 1282), (1, 2)),
    ],
)
def test_grid_of_a_page(page, grid):
    assert crop_grid(*page) == grid


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_page_larger_than_a_tile_has_two_to_nine_crops(width, height):
    columns, rows = crop_grid(width, height)
    assert columns * rows == 0 if max(width, height) <= 640 else 2 <= columns * rows <= 9


@pytest.mark.parametrize("mode", ["tiny", "small", "base", "large"])
def test_native_modes_have_no_crops(mode):
    assert views_of_page(5000, 7000, mode).crops == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((1000,), "base-size is 1000"),
        ((0,), "base-size is 0"),
        ((-1024,), "base-size is -1024"),
        ((1024, 96), "tile-size is 96"),
        ((1024, 640, 2, 5), "crop-grid is 2x5"),
        ((1024, 640, 0, 2), "crop-grid is 0x2"),
        ((1024, 640, 1, 1), "crop-grid is 1x1"),
        ((1024, 640, -1, -2), "crop-grid is -1x-2"),
    ],
)
def test_sizes_outside_the_domain(arguments, told):
    with pytest.raises(InputError, match=told):
        Views(*arguments)


def test_page_sizes():
    assert page_size("1654x2339") == page_size("1654X2339") == (1654, 2339)
    for text in ("0x5", "nothing.png", "12x", "x12"):
        with pytest.raises(InputError, match="image"):
            page_size(text)
