"""From a page to sizes: views, crop grids and tokens, as the vendor's `infer` makes them.

Source: modeling_deepseekocr.py of the published model, `dynamic_preprocess`, `count_tiles`,
`find_closest_aspect_ratio` and `infer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import imagesize

from symcost.errors import InputError
from symcost.symbols import Expr, I_g, I_t, Size, as_expr, ceil_div, n_h, n_w

TILE_SIZE = 640
"""The vendor's tiles have this side whatever image_size says."""

MAX_TILES = 9
MIN_TILES = 2
STEP = 64
"""Image sides are multiples of it: a patch of 16 pixels, and two convolutions of stride 2."""


@dataclass(frozen=True)
class Views:
    """What the vision tower sees of one page.

    Parameters
    ----------
    base_size, tile_size : int or sympy.Expr
        Sides in pixels of the global view and of a tile.
    columns, rows : int or sympy.Expr
        The crop grid; 0 × 0 without crops.
    """

    base_size: Size = I_g
    tile_size: Size = I_t
    columns: Size = n_w
    rows: Size = n_h

    def __post_init__(self) -> None:
        for name, size in (("base-size", self.base_size), ("tile-size", self.tile_size)):
            number = as_expr(size)
            if number.is_number and (number <= 0 or number % STEP):
                raise InputError(f"{name} is {size}; allowed: a positive multiple of {STEP}")
        columns, rows = as_expr(self.columns), as_expr(self.rows)
        given = columns.is_number and rows.is_number and (columns, rows) != (0, 0)
        if given and not (columns > 0 and rows > 0 and MIN_TILES <= columns * rows <= MAX_TILES):
            raise InputError(
                f"crop-grid is {columns}x{rows}; allowed: columns x rows of {MIN_TILES} to "
                f"{MAX_TILES} tiles, or none"
            )

    def __str__(self) -> str:
        """The page in words, as reports tell it."""
        if self == SYMBOLIC:
            return "of any size"
        grid = (self.columns, self.rows) if self.crops != 0 else None
        return page_text(self.base_size, self.tile_size, grid, self.image_tokens)

    @property
    def crops(self) -> Expr:
        """How many tiles."""
        return as_expr(self.columns) * self.rows

    @property
    def image_tokens(self) -> Expr:
        """Tokens of the sequence that the page takes, newlines and separator included."""
        q, t = queries(self.base_size), queries(self.tile_size)
        return q * (q + 1) + 1 + (t * self.columns + 1) * t * self.rows

    @property
    def vision_tokens(self) -> Expr:
        """Tokens as the paper counts them, without newlines and separator."""
        return queries(self.base_size) ** 2 + self.crops * queries(self.tile_size) ** 2


SYMBOLIC = Views()
"""Views of any size: what formulas are stated for."""


def page_text(
    base_size: Size, tile_size: Size, grid: tuple[Size, Size] | None, tokens: Size
) -> str:
    """A page in words: its views and what they are in tokens."""
    tiles = f"{grid[0]}x{grid[1]} tiles of {tile_size} px" if grid else "no crops"
    return f"view of {base_size} px, {tiles}: {tokens} image tokens"


def queries(side: Size) -> Expr:
    """Features along one side of a view of so many pixels."""
    return ceil_div(ceil_div(side, 16), 4)


@dataclass(frozen=True)
class Mode:
    """A named way of looking at a page."""

    base_size: int
    crops: bool = False


MODES: Mapping[str, Mode] = MappingProxyType(
    {
        "tiny": Mode(512),
        "small": Mode(640),
        "base": Mode(1024),
        "large": Mode(1280),
        "gundam": Mode(1024, crops=True),
    }
)
"""The native modes of the published model."""


def crop_grid(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of tiles that a page of so many pixels is cut into.

    (0, 0) for a page that fits into one tile.
    """
    if width <= 0 or height <= 0:
        raise InputError(f"image size is {width}x{height}; both sides must be positive")
    if width <= TILE_SIZE and height <= TILE_SIZE:
        return 0, 0
    # The vendor sorts a set: grids of as many tiles keep the order in which the set yields them.
    candidates = {
        (columns, rows)
        for most in range(MIN_TILES, MAX_TILES + 1)
        for columns in range(1, most + 1)
        for rows in range(1, most + 1)
        if MIN_TILES <= columns * rows <= MAX_TILES
    }
    best, smallest = (1, 1), float("inf")
    for columns, rows in sorted(candidates, key=lambda grid: grid[0] * grid[1]):
        difference = abs(width / height - columns / rows)
        if difference < smallest:
            best, smallest = (columns, rows), difference
        elif difference == smallest and 2 * width * height > TILE_SIZE**2 * columns * rows:
            best = columns, rows
    return best


def views_of_page(width: int, height: int, mode: str = "gundam") -> Views:
    """What a mode makes of a page of so many pixels."""
    chosen = mode_named(mode)
    columns, rows = crop_grid(width, height)
    if not chosen.crops:
        columns, rows = 0, 0
    return Views(chosen.base_size, TILE_SIZE, columns, rows)


def mode_named(name: str) -> Mode:
    """A native mode."""
    if name not in MODES:
        raise InputError(f"mode is {name!r}; allowed: {', '.join(MODES)}")
    return MODES[name]


def page_size(text: str) -> tuple[int, int]:
    """Width and height in pixels from WIDTHxHEIGHT or from an image file."""
    columns, cross, rows = text.lower().partition("x")
    if cross and (columns + rows).isascii() and columns.isdecimal() and rows.isdecimal():
        size = int(columns), int(rows)
        if not all(size):
            raise InputError(f"image is {text!r}; both sides must be positive")
        return size
    if not Path(text).exists():
        raise InputError(
            f"image is {text!r}; allowed: WIDTHxHEIGHT in pixels or an image file, and there is no "
            "such file"
        )
    try:
        width, height = imagesize.get(Path(text))
    except (OSError, ValueError) as error:
        raise InputError(
            f"image is {text!r}; allowed: WIDTHxHEIGHT in pixels or an image file ({error})"
        ) from None
    if width <= 0 or height <= 0:
        raise InputError(
            f"image is {text!r}; allowed: WIDTHxHEIGHT in pixels or an image file whose size can "
            "be read"
        )
    return int(width), int(height)
