"""The points of a sweep: from its axes to the sizes that formulas ask for, box by box."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import STEP, Views
from symcost.models.deepseek_ocr.reference import reference_named
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import DEFAULT_PROMPT_TOKENS, Workload
from symcost.numeric.boxes import Box
from symcost.sweeps.axes import Axes, Axis, Column, Setting, axes_of
from symcost.sweeps.spreads import Spread, spread_of, spread_over
from symcost.sweeps.where import Condition, all_hold
from symcost.symbols import I_g, I_t, n_h, n_w, q, q_t

PAGE = ("mode", "image", "base_size", "tile_size", "crop_grid")
"""Names that say what a page looks like."""
LENGTHS = ("batch", "prompt_tokens", "context_len", "cached", "new_tokens")
"""Names that say how many sequences and tokens there are."""
_MODEL: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "reference": ("reference", lambda text: reference_named(text).name),
    "execution": ("execution", Executions.parse),
    "lm_head": ("lm_head", str),
    "width": ("widths", Widths.parse),
    "experts": ("routing", Routing.parse),
}
"""Names that say which model is built: what loads it, and how that is read."""
MODEL = tuple(_MODEL)
OPTIONS = (*PAGE, "no_image", *LENGTHS, *MODEL)
"""What may be the same at all points."""

SIZES: Mapping[str, str] = {
    "B": "batch",
    "S": "context_len",
    "K": "cached",
    "T": "new_tokens",
    "I_g": "base_size",
    "I_t": "tile_size",
    "n_w": "n_w",
    "n_h": "n_h",
}
"""The column that gives a symbol of formulas its values."""

_OF_PAGE: Mapping[str, tuple[sp.Symbol, tuple[str, ...]]] = {
    "base_size": (I_g, ("mode", "base_size")),
    "tile_size": (I_t, ("tile_size",)),
    "n_w": (n_w, ("mode", "image", "crop_grid")),
    "n_h": (n_h, ("mode", "image", "crop_grid")),
}
"""What is asked of a page, and the names that it depends on."""


@cache
def _image_tokens() -> Callable[..., Any]:
    formula = Views(STEP * q, STEP * q_t, n_w, n_h).image_tokens
    found: Callable[..., Any] = sp.lambdify((q, q_t, n_w, n_h), formula)
    return found


_Of: TypeAlias = Callable[[str], Any]
_BEGIN = Workload.from_options(no_image=True, prompt_tokens=0).context_len

_DERIVED: Mapping[str, Callable[[_Of], Any]] = {
    "image_tokens": lambda of: _image_tokens()(
        of("base_size") // STEP, of("tile_size") // STEP, of("n_w"), of("n_h")
    ),
    "crops": lambda of: of("n_w") * of("n_h"),
    "context_len": lambda of: _BEGIN + of("prompt_tokens") + of("image_tokens"),
    "cached": lambda of: of("context_len"),
}
"""Columns that follow from others unless they are given. None falls while another grows."""

_INT64 = int(np.iinfo(np.int64).max)


class Points:
    """The points of a sweep: what each axis sets, resolved to the sizes that formulas ask for.

    A point is what `Workload.from_options` makes of the options and of the values that the axes
    have there, and the model that is loaded with them.

    Parameters
    ----------
    axes : sequence of Axis, or mapping of names to values
        What changes.
    **options
        What does not: the options of `Workload.from_options`, and `reference`, `execution`,
        `lm_head`, `width` and `experts` as texts. None is not given.

    Raises
    ------
    InputError
        An option or a value is illegal whatever the others are.

    Attributes
    ----------
    axes, shape : tuple
        The axes, and how many values each has.
    fixed : dict
        The options that were given.
    image : bool
        Whether there is one; text alone has neither page sizes nor vision.
    variants : list of dict
        The settings of each model that is needed; `model_options` reads them.
    variant : Spread
        The number of the model that serves each point.
    """

    def __init__(self, axes: Axes, **options: Any) -> None:
        self.axes = axes_of(axes)
        self.shape = tuple(map(len, self.axes))
        given = {name: x for name, x in options.items() if x is not None and x is not False}
        self.image = not given.pop("no_image", False)
        swept = {name: column for axis in self.axes for name, column in axis.columns.items()}
        for name in given:
            if name not in OPTIONS:
                raise InputError(f"option {name!r} is unknown; allowed: {', '.join(OPTIONS)}")
            if name in swept:
                raise InputError(f"{name} is given as an axis and as an option; give one of them")
        fixed = {name: Axis.of(name, [value]).columns[name] for name, value in given.items()}
        self.fixed: Setting = {name: column.first for name, column in fixed.items()}
        self._first = {name: column.first for name, column in swept.items()} | self.fixed
        dimensions = len(self.axes)
        self._spreads = {name: spread_of(x, None, dimensions) for name, x in fixed.items()} | {
            name: spread_of(column, number, dimensions)
            for number, axis in enumerate(self.axes)
            for name, column in axis.columns.items()
        }
        self._spreads |= self._lengths(fixed | swept) | self._pages()
        self.variants: list[Setting] = []
        self.variant = spread_over(self.axes, MODEL, self._variant)
        self._spreads["variant"] = self.variant
        for name in _DERIVED:
            most = self.bounds(name)[1]
            if most > _INT64:
                raise InputError(f"{name} reaches {most}; allowed: below 2^63 at all points")

    def _lengths(self, columns: Mapping[str, Column]) -> dict[str, Spread]:
        """What is the same at all points of the lengths that are not given."""
        given = [name for name in LENGTHS if name in columns]
        least: Setting = {name: int(columns[name].numbers.min()) for name in given}
        usual = Workload.from_options(no_image=True, **least)
        defaults = {"batch": usual.batch, "new_tokens": usual.new_tokens}
        if "context_len" not in columns:
            defaults["prompt_tokens"] = DEFAULT_PROMPT_TOKENS
        return {name: self._same(value) for name, value in defaults.items() if name not in columns}

    def _pages(self) -> dict[str, Spread]:
        """What formulas ask of pages, each resolved once for the values that it depends on."""
        page: Setting = {name: value for name, value in self._first.items() if name in PAGE}
        if not self.image:
            Workload.from_options(no_image=True, **page)
            return {"image_tokens": self._same(0), "crops": self._same(0)}

        def asked(symbol: sp.Symbol) -> Callable[[Setting], int]:
            return lambda chosen: int(Workload.from_options(**page | chosen).bindings[symbol])

        return {
            column: spread_over(self.axes, names, asked(symbol))
            for column, (symbol, names) in _OF_PAGE.items()
        }

    def _same(self, value: int) -> Spread:
        return Spread(np.full((1,) * len(self.axes), value, np.int64), {})

    def _variant(self, setting: Setting) -> int:
        chosen = {name: value for name, value in self.fixed.items() if name in MODEL} | setting
        model_options(chosen)
        self.variants.append(chosen)
        return len(self.variants) - 1

    @property
    def size(self) -> int:
        """Points in all, before any filter."""
        return math.prod(self.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that conditions may name, besides metrics."""
        hidden = {"variant", "n_w", "n_h"}
        return tuple(sorted({*self._spreads, *_DERIVED} - hidden))

    @property
    def ranges(self) -> dict[str, tuple[int, int]]:
        """By symbol, what no value at any point lies below and above."""
        return {symbol: self.bounds(name) for symbol, name in self._symbols.items()}

    @property
    def _symbols(self) -> dict[str, str]:
        return {s: name for s, name in SIZES.items() if self.image or name not in _OF_PAGE}

    def bounds(self, name: str) -> tuple[int, int]:
        """What no value of a column of integers lies below and above."""
        spread = self._spreads.get(name)
        if spread is not None:
            return int(spread.values.min()), int(spread.values.max())
        derive = _DERIVED[name]
        return derive(lambda of: self.bounds(of)[0]), derive(lambda of: self.bounds(of)[1])

    def columns(self, names: Iterable[str], box: Box) -> dict[str, NDArray[Any]]:
        """Columns in a box, each of size 1 along the axes that it does not depend on.

        They may be the axes' own arrays: to be read, not to be written to.
        """
        known: dict[str, NDArray[Any]] = {}

        def column(name: str) -> NDArray[Any]:
            if name not in known:
                spread = self._spreads.get(name)
                known[name] = _DERIVED[name](column) if spread is None else spread.at(box)
            return known[name]

        return {name: column(name) for name in names}

    def sizes(self, box: Box) -> dict[str, NDArray[np.int64]]:
        """Sizes in a box by symbol, each of size 1 along axes that it does not depend on."""
        columns = self.columns(self._symbols.values(), box)
        return {symbol: columns[name] for symbol, name in self._symbols.items()}

    def coordinates(self, indices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """What the axes set at points, by their flat indices."""
        # NumPy numbers no points of no axes; one of one value in front changes no number.
        _, *positions = np.unravel_index(indices, (1, *self.shape))
        return {
            name: column.at(position)
            for axis, position in zip(self.axes, positions, strict=True)
            for name, column in axis.columns.items()
        }

    def workload(self, index: int) -> Workload:
        """The workload of the point of a flat index.

        Raises
        ------
        InputError
            It is illegal.
        """
        found = self.coordinates(np.array([index]))
        there = self.fixed | {name: values.item() for name, values in found.items()}
        asked = {name: value for name, value in there.items() if name in (*PAGE, *LENGTHS)}
        return Workload.from_options(no_image=not self.image, **asked)

    def split(
        self, conditions: Iterable[Condition]
    ) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
        """The conditions that are on axes and sizes alone, and those that need metrics.

        Raises
        ------
        InputError
            One names what there is not.
        """
        given = tuple(conditions)
        for condition in given:
            for name in condition.names:
                if "." not in name and name not in self.names:
                    raise InputError(
                        f"where names {name!r}; allowed: {', '.join(self.names)}, and metrics such "
                        "as prefill.flops"
                    )
            if isinstance(condition.value, str):
                texts = self._spreads[condition.name].values.ravel().tolist()
                if condition.value not in texts:
                    raise InputError(
                        f"where compares {condition.name} with {condition.value!r}; its values: "
                        f"{', '.join(texts)}"
                    )
        late = tuple(c for c in given if any("." in name for name in c.names))
        return tuple(c for c in given if c not in late), late

    def held(self, conditions: Sequence[Condition], box: Box) -> NDArray[np.bool_]:
        """Where conditions on axes and sizes hold in a box, as small as broadcasts to its shape."""
        names = {name for condition in conditions for name in condition.names}
        return all_hold(conditions, self.columns(names, box))


def model_options(setting: Setting) -> dict[str, Any]:
    """What `symcost.load` takes for the settings of a variant."""
    return {
        _MODEL[name][0]: read(setting[name])
        for name, (_, read) in _MODEL.items()
        if name in setting
    }
