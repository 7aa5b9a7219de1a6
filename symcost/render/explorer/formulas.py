"""Formulas as data for the page: each product of sizes once, as MathML and as a tree.

The page multiplies products by coefficients and adds them up, exactly, and holds the sum against
what exported code says.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import sympy as sp

from symcost.errors import DomainError
from symcost.export.json_tree import encode
from symcost.formulas import groups, indicator
from symcost.symbols import CATALOGUE, Expr, w_w

Tree: TypeAlias = Any
"""A number, the name of a size, or an operation before what it is done to."""

WIDTH_OF_EXPERTS = "w_e"
"""What bytes per weight of a routed expert are called, where they may be others."""

_ORDER = {info.symbol: place for place, info in enumerate(CATALOGUE.values())}
_LARGEST = 2**53
"""Numbers from here on are texts in JSON."""


class Formulas:
    """Formulas that share their products.

    Attributes
    ----------
    products : list of dict
        Each as MathML and as a tree.
    formulas : list
        Each is the largest of some sums; a sum is groups of a product before the bracket and the
        terms in it, a term a numerator, a denominator and a product.
    """

    def __init__(self) -> None:
        self.products: list[dict[str, Tree]] = []
        self.formulas: list[Tree] = []
        self._known: dict[tuple[Expr, bool], int] = {}
        self._added: dict[tuple[Expr, bool], int] = {}

    def add(self, formula: Expr, *, of_experts: bool = False) -> int:
        """The number of a formula.

        Parameters
        ----------
        of_experts : bool
            Whether its width of weights is that of routed experts.
        """
        key = formula, of_experts
        if key not in self._added:
            self._added[key] = len(self.formulas)
            self.formulas.append(
                [
                    [self._group(group, of_experts) for group in groups(part)]
                    for part in _sums(formula)
                ]
            )
        return self._added[key]

    def _group(self, group: Any, of_experts: bool) -> list[Tree]:
        terms = []
        for term in group.terms:
            number, product = term.as_coeff_Mul()
            terms.append(
                [_number(number.p), _number(number.q), self._numbered(product, of_experts)]
            )
        return [self._numbered(group.factor, of_experts), terms]

    def _numbered(self, product: Expr, of_experts: bool) -> int:
        names = {w_w: WIDTH_OF_EXPERTS} if of_experts and product.has(w_w) else {}
        key = product, bool(names)
        if key not in self._known:
            self._known[key] = len(self.products)
            self.products.append({"mathml": mathml(product, names), "tree": tree(product, names)})
        return self._known[key]


def _sums(formula: Expr) -> list[Expr]:
    """What a formula is the largest of."""
    parts = sp.Add.make_args(formula)
    largest = [part for part in parts if isinstance(part, sp.Max)]
    if not largest:
        return [formula]
    rest = sp.Add(*(part for part in parts if part not in largest))
    if len(largest) > 1 or rest.has(sp.Max):
        raise DomainError(f"{formula} is no sum with one maximum in it, and cannot be shown")
    return [part + rest for part in largest[0].args]


def _number(number: Any) -> int | str:
    value = int(number)
    return value if abs(value) < _LARGEST else str(value)


Names: TypeAlias = Mapping[sp.Symbol, str]


def tree(formula: Expr, names: Names) -> Tree:
    """A formula as the page evaluates it: that of files, with numbers that JavaScript can read."""
    return _read_by_the_page(encode(formula), {size.name: told for size, told in names.items()})


def _read_by_the_page(value: Tree, names: Mapping[str, str]) -> Tree:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, int):
        return value if abs(value) < _LARGEST else ["/", str(value), 1]
    sign, *parts = value
    if sign == "/":
        return [sign, *map(_number, parts)]
    return [sign, *(_read_by_the_page(part, names) for part in parts)]


def mathml(formula: Expr, names: Names) -> str:
    """A formula as presentation MathML; sizes carry their names, so that numbers can be put in."""
    for kind, write in _WRITTEN.items():
        if isinstance(formula, kind):
            return write(formula, names)
    raise DomainError(f"{formula.func.__name__} cannot be shown on the page: {formula}")


def symbol(name: str) -> str:
    """A size as MathML."""
    base, _, below = name.partition("_")
    if not below:
        return f'<mi data-size="{name}">{base}</mi>'
    return f'<msub data-size="{name}"><mi>{base}</mi><mi>{below}</mi></msub>'


def worded(text: str) -> str:
    """A text as HTML, with products of indexed sizes in it as MathML."""

    def shown(match: re.Match[str]) -> str:
        return f"<math>{'<mo>·</mo>'.join(map(symbol, match[0].split()))}</math>"

    return re.sub(rf"{_INDEXED}( {_INDEXED})*", shown, html.escape(text))


_INDEXED = r"\b[A-Za-z]_\w+\b"


def _number_mathml(number: sp.Rational, _: Names) -> str:
    above, below = (f"<mn>{int(part):,}</mn>" for part in (number.p, number.q))
    return above if number.q == 1 else f"<mfrac>{above}{below}</mfrac>"


def _product(formula: Expr, names: Names) -> str:
    factors = sorted(sp.Mul.make_args(formula), key=_place)
    return "<mo>·</mo>".join(_factor(factor, names) for factor in factors)


def _power(formula: Expr, names: Names) -> str:
    base, exponent = (mathml(part, names) for part in formula.args)
    if not formula.base.is_Symbol:
        base = _fenced("()", base)
    return f"<msup><mrow>{base}</mrow><mrow>{exponent}</mrow></msup>"


def _rounded(formula: Expr, names: Names) -> str:
    above, below = sp.fraction(formula.args[0])
    inner = mathml(formula.args[0], names)
    if below != 1 and not isinstance(above, sp.Add):
        above, below = (f"<mrow>{mathml(part, names)}</mrow>" for part in (above, below))
        inner = f"<mfrac>{above}{below}</mfrac>"
    return _fenced("⌊⌋" if isinstance(formula, sp.floor) else "⌈⌉", inner)


def _one_of(formula: Expr, names: Names) -> str:
    condition = indicator(formula) if isinstance(formula, sp.Min) else None
    if condition is not None:
        left, sign, right = condition
        sign = {"!=": "≠", ">": "&gt;"}[sign]
        return _fenced("[]", f"{mathml(left, names)}<mo>{sign}</mo>{mathml(right, names)}")
    called = "min" if isinstance(formula, sp.Min) else "max"
    inner = "<mo>,</mo>".join(mathml(part, names) for part in formula.args)
    return f"<mi>{called}</mi>{_fenced('()', inner)}"


def _sum(formula: Expr, names: Names) -> str:
    # What grows stands first, and what is taken away last.
    terms = sorted(
        sp.Add.make_args(formula),
        key=lambda t: (t.could_extract_minus_sign(), not t.free_symbols, str(t)),
    )
    text = ""
    for term in terms:
        minus = term.could_extract_minus_sign()
        sign = "−" if minus else "+" if text else ""
        text += (f"<mo>{sign}</mo>" if sign else "") + _factor(-term if minus else term, names)
    return text


def _factor(formula: Expr, names: Names) -> str:
    inner = mathml(formula, names)
    return _fenced("()", inner) if isinstance(formula, sp.Add) else inner


def _fenced(fences: str, inner: str) -> str:
    left, right = tuple(fences)
    return f"<mrow><mo>{left}</mo>{inner}<mo>{right}</mo></mrow>"


def _place(factor: Expr) -> tuple[object, ...]:
    base = factor.as_base_exp()[0]
    return not factor.is_number, not base.is_Symbol, _ORDER.get(base, len(_ORDER)), str(factor)


_WRITTEN: Mapping[type[Expr], Callable[[Expr, Names], str]] = {
    sp.Symbol: lambda size, names: symbol(names.get(size, size.name)),
    sp.Rational: _number_mathml,
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: _power,
    sp.floor: _rounded,
    sp.ceiling: _rounded,
    sp.Min: _one_of,
    sp.Max: _one_of,
    sp.Abs: lambda size, names: _fenced("||", mathml(size.args[0], names)),
}
