"""All symbols of all formulas: the only file that creates sympy symbols.

A symbol carries its domain. Formulas hold on that domain only, evaluation checks it, and shape
arithmetic uses it: the side of an image is a multiple of 64, so its patches divide evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import sympy as sp

from symcost.errors import DomainError

Expr: TypeAlias = sp.Expr
Size: TypeAlias = int | sp.Expr
"""A size is a number or a formula."""


@dataclass(frozen=True)
class SymbolInfo:
    """What a symbol means and which values it takes.

    Parameters
    ----------
    name : str
        The name in Python, JSON and on the command line.
    latex : str
        The name in documents.
    meaning, unit : str
        One phrase each.
    minimum : int
        The smallest value; for a rational symbol the bound is exclusive.
    multiple_of : int
        Every value is a multiple of it.
    integer : bool
        False for byte widths, which are positive rationals (4-bit weights take half a byte).
    """

    name: str
    latex: str
    meaning: str
    unit: str
    minimum: int = 1
    multiple_of: int = 1
    integer: bool = True

    @property
    def symbol(self) -> sp.Symbol:
        """The sympy symbol, with the assumptions that the domain allows."""
        return _SYMBOLS[self.name]

    @property
    def domain(self) -> str:
        """The domain in words."""
        if not self.integer:
            return "positive rational"
        kind = {0: "non-negative integer", 1: "positive integer"}[min(self.minimum, 1)]
        return kind if self.multiple_of == 1 else f"positive multiple of {self.multiple_of}"

    def check(self, value: object) -> None:
        """Raise `DomainError` unless the value lies in the domain."""
        if isinstance(value, int | Fraction) and not isinstance(value, bool):
            if not self.integer and value > 0:
                return
            whole = Fraction(value).denominator == 1
            if self.integer and whole and value >= self.minimum and value % self.multiple_of == 0:
                return
        raise DomainError(f"{self.name} ({self.meaning}) is {value!r}; allowed: a {self.domain}")


_SYMBOLS: dict[str, sp.Symbol] = {}
CATALOGUE: dict[str, SymbolInfo] = {}
"""Every symbol by name, in the order in which documents list them."""


def _declare(
    name: str,
    latex: str,
    meaning: str,
    unit: str,
    *,
    minimum: int = 1,
    multiple_of: int = 1,
    integer: bool = True,
) -> sp.Symbol:
    info = SymbolInfo(name, latex, meaning, unit, minimum, multiple_of, integer)
    if integer:
        sign = {"positive": True} if minimum > 0 else {"nonnegative": True}
        symbol = sp.Symbol(name, integer=True, **sign)
    else:
        symbol = sp.Symbol(name, rational=True, positive=True)
    CATALOGUE[name] = info
    _SYMBOLS[name] = symbol
    return symbol


# The workload.
B = _declare("B", "B", "batch: sequences in the call, one page image each", "sequences")
S = _declare("S", "S", "tokens that the decoder gets per sequence in this call", "tokens")
K = _declare("K", "K", "tokens per sequence that are cached already", "tokens", minimum=0)
T = _declare("T", "T", "tokens to generate per sequence", "tokens")
I_g = _declare("I_g", "I_g", "side of the global view (base_size)", "pixels", multiple_of=64)
I_t = _declare("I_t", "I_t", "side of a tile (image_size)", "pixels", multiple_of=64)
n_w = _declare("n_w", "n_w", "columns of the crop grid; 0 without crops", "tiles", minimum=0)
n_h = _declare("n_h", "n_h", "rows of the crop grid; 0 without crops", "tiles", minimum=0)
C = _declare("C", "C", "crop count, short for n_w n_h where formulas are shown", "tiles", minimum=0)
w_w = _declare("w_w", "w_w", "bytes per weight", "bytes", integer=False)
w_a = _declare("w_a", "w_a", "bytes per element of an activation", "bytes", integer=False)
w_kv = _declare("w_kv", "w_{kv}", "bytes per element of the KV cache", "bytes", integer=False)

# The devices: replicas that share the batch, and in each of them devices that share its layers.
p_t = _declare("p_t", "p_t", "tensor parallel: devices that share each layer", "devices")
p_e = _declare("p_e", "p_e", "expert parallel: replicas that share the routed experts", "replicas")
p_d = _declare("p_d", "p_d", "data parallel: replicas that share the batch", "replicas")

# What goes into a layer of the vision tower.
X = _declare("X", "X", "views in the call, global views or tiles", "views")
N = _declare("N", "N", "tokens of one view", "tokens")
n = _declare("n", "n", "side of a view in patches", "patches")
q = _declare("q", "q", "side of the global view in features, I_g / 64", "features")
q_t = _declare("q_t", "q_t", "side of a tile in features, I_t / 64", "features")

# The architecture: a layer's own sizes, which a model binds to numbers.
H = _declare("H", "H", "hidden size", "features")
F = _declare("F", "F", "intermediate size of an MLP or of one expert", "features")
N_h = _declare("N_h", "N_h", "attention heads", "heads")
N_kv = _declare("N_kv", "N_{kv}", "key and value heads", "heads")
D = _declare("D", "D", "size of one head", "features", multiple_of=2)
E = _declare("E", "E", "routed experts", "experts")
k = _declare("k", "k", "experts chosen per token", "experts")
U = _declare(
    "U",
    "U",
    "distinct routed experts that a layer reads in the call",
    "experts",
    integer=False,
)
V = _declare("V", "V", "vocabulary size", "tokens")
M = _declare("M", "M", "side of an attention window", "patches")
P = _declare("P", "P", "side of a patch", "pixels")
c_i = _declare("c_i", "c_i", "channels that a convolution reads", "channels")
c_o = _declare("c_o", "c_o", "channels that a convolution writes", "channels")
n_0 = _declare("n_0", "n_0", "side of the grid that a position table was trained for", "patches")

CROPS = n_w * n_h
"""The crop count C = n_w * n_h."""

ZERO = sp.Integer(0)

INDEX_WIDTH = sp.Integer(8)
"""Bytes of a token id, position or expert number: torch's int64."""

FLOAT32_WIDTH = sp.Integer(4)
"""Bytes of what the reference computes in float32 whatever the activations' width."""

_BY_SYMBOL = {symbol: CATALOGUE[name] for name, symbol in _SYMBOLS.items()}
_EVEN = {
    symbol: info.multiple_of * sp.Symbol(f"_{info.name}", integer=True, positive=True)
    for symbol, info in _BY_SYMBOL.items()
    if info.multiple_of > 1
}
_BACK = {
    even.as_coeff_Mul()[1]: symbol / _BY_SYMBOL[symbol].multiple_of
    for symbol, even in _EVEN.items()
}


def info_of(symbol: sp.Symbol) -> SymbolInfo:
    """The declaration of a symbol; a symbol that this file did not create has none."""
    try:
        return _BY_SYMBOL[symbol]
    except KeyError:
        raise DomainError(
            f"symbol {symbol} is not declared in symcost.symbols; use one of {', '.join(CATALOGUE)}"
        ) from None


def as_expr(size: Size) -> Expr:
    """An integer or a formula as a formula. Nothing else is taken, least of all text."""
    if isinstance(size, sp.Expr) and (not size.is_number or size.is_Integer):
        return size
    if isinstance(size, int) and not isinstance(size, bool):
        return sp.Integer(size)
    raise DomainError(f"{size!r} is neither an integer nor a formula")


def check_size(size: Size, symbol: sp.Symbol) -> Size:
    """A size, refused where it is a number outside the domain of what it stands for."""
    number = as_expr(size)
    if number.is_number:
        info_of(symbol).check(int(number))
    return size


def floor_div(numerator: Size, denominator: Size) -> Expr:
    """The whole part of a quotient, using what the domains say about divisibility."""
    quotient = (as_expr(numerator) / as_expr(denominator)).xreplace(_EVEN)
    return sp.floor(sp.expand(quotient)).xreplace(_BACK)


def ceil_div(numerator: Size, denominator: Size) -> Expr:
    """The quotient rounded up, using what the domains say about divisibility."""
    quotient = (as_expr(numerator) / as_expr(denominator)).xreplace(_EVEN)
    return sp.ceiling(sp.expand(quotient)).xreplace(_BACK)


def positive(count: Size) -> Expr:
    """1 where a count is positive, 0 where it is zero."""
    return sp.Min(1, as_expr(count))


def differs(a: Size, b: Size) -> Expr:
    """1 where two integer sizes differ, 0 where they are the same."""
    numerator, _ = sp.fraction(sp.together(as_expr(a) - as_expr(b)))
    return positive(sp.Abs(numerator))
