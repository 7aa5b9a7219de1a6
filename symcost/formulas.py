"""Formulas as people read them: terms in a chosen order, as text, as LaTeX and as HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from symcost.exact import Amount, as_rational
from symcost.symbols import CATALOGUE, B, C, Expr, K, S, T, X, n_h, n_w

_OUTER = {B, C, X, n_w, n_h, *(info.symbol for info in CATALOGUE.values() if not info.integer)}
"""Symbols that stand before a bracket: how often something runs, and bytes per element."""

_ORDER = {info.symbol: position for position, info in enumerate(CATALOGUE.values())}


@dataclass(frozen=True)
class Group:
    """Terms with a common factor: `factor · (terms[0] + terms[1] + …)`."""

    factor: Expr
    terms: tuple[Expr, ...]


@lru_cache(maxsize=4096)
def groups(formula: Amount) -> tuple[Group, ...]:
    """A formula as a sum of groups, crops written as C = n_w n_h.

    The factors are how often something runs and bytes per element, the terms sizes of images,
    lengths and numbers, the fastest growing ones first. Terms of images and terms of lengths stand
    apart; numbers stand with the former where both are there.
    """
    found: dict[Expr, dict[int, list[Expr]]] = {}
    for term in sp.Add.make_args(sp.expand(as_rational(formula))):
        outer: list[Expr] = []
        inner: list[Expr] = []
        for factor in sp.Mul.make_args(_crops(term)):
            base = factor.as_base_exp()[0]
            (outer if base in _OUTER or _is_indicator(base) else inner).append(factor)
        rest = sp.Mul(*inner)
        family = int(not rest.free_symbols) + 2 * bool(rest.free_symbols & {S, K, T})
        found.setdefault(sp.Mul(*outer), {}).setdefault(family, []).append(rest)
    result: list[Group] = []
    for factor in sorted(found, key=_factor_order):
        families = found[factor]
        numbers = families.pop(1, [])
        for family in sorted(families) or [0]:
            terms = families.get(family, []) + numbers
            numbers = []
            result.append(Group(factor, tuple(sorted(terms, key=_growth))))
    return tuple(result)


def _growth(term: Expr) -> tuple[object, ...]:
    """Order of terms: degree, then the symbols in the order of the catalogue."""
    powers = [f.as_base_exp() for f in sp.Mul.make_args(term) if f.free_symbols]
    degree = sum(exponent for _, exponent in powers)
    rounded = any(not base.is_Symbol for base, _ in powers)
    return -degree, rounded, sorted(_ORDER.get(s, 99) for s in term.free_symbols), str(term)


def _factor_order(factor: Expr) -> tuple[object, ...]:
    return (
        factor.as_base_exp()[0] not in _OUTER,
        len(factor.free_symbols) == 0,
        sorted(_ORDER.get(symbol, 99) for symbol in factor.free_symbols),
        str(factor),
    )


def _is_indicator(expr: Expr) -> bool:
    return isinstance(expr, sp.Min) and indicator(expr) is not None


def _crops(term: Expr) -> Expr:
    """A term in which every product n_w n_h is written as C."""
    powers: Mapping[Expr, Expr] = term.as_powers_dict()
    together = min(powers.get(n_w, sp.Integer(0)), powers.get(n_h, sp.Integer(0)))
    if together > 0:
        term = term / (n_w * n_h) ** together * C**together
    return term.xreplace({n_w * n_h: C})


class _Text(StrPrinter):  # type: ignore[misc]
    """Text that reads like the code that would compute it."""

    def _print_Min(self, expr: sp.Min) -> str:
        condition = indicator(expr)
        if condition is None:
            return self._print_Max(expr)
        left, sign, right = condition
        return f"[{self._print(left)} {sign} {self._print(right)}]"

    def _print_Max(self, expr: sp.Min | sp.Max) -> str:
        return str(super()._print_LatticeOp(expr)).replace("M", "m", 1)

    def _print_Abs(self, expr: sp.Abs) -> str:
        return f"abs({self._print(expr.args[0])})"


class _Latex(LatexPrinter):  # type: ignore[misc]
    """LaTeX with the names of the catalogue and Iverson's bracket.

    No backslash stands before a punctuation mark: GitHub's Markdown would drop it.
    """

    def _print_Min(self, expr: sp.Min, exp: str | None = None) -> str:
        condition = indicator(expr)
        if condition is None:
            return self._print_Max(expr, exp)
        left, sign, right = condition
        shown = {"!=": r"\neq", ">": r"\gt"}[sign]
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\left[{self._print(left)} {shown} {self._print(right)}\right]{power}"

    def _print_Max(self, expr: sp.Min | sp.Max, exp: str | None = None) -> str:
        shown = str(super()._hprint_variadic_function(expr))
        return shown if exp is None else rf"\left({shown}\right)^{{{exp}}}"

    def _print_Integer(self, expr: sp.Integer) -> str:
        return grouped(int(expr), "{,}")


class _Html(StrPrinter):  # type: ignore[misc]
    """HTML of letters, <i>, <sub> and <sup> alone, which needs nothing that typesets math."""

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        letters, _, index = str(_NAMES.get(expr, escape(expr.name))).partition("_")
        return f"<i>{letters}</i>" + (f"<sub>{index.strip('{}')}</sub>" if index else "")

    def _print_Integer(self, expr: sp.Integer) -> str:
        return grouped(int(expr), ",")

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"{grouped(expr.p, ',')}/{grouped(expr.q, ',')}"

    def _print_Add(self, expr: sp.Add) -> str:
        return joined([self._print(term) for term in expr.args])

    def _print_Mul(self, expr: sp.Mul) -> str:
        return _term_html(expr)

    def _print_Pow(self, expr: sp.Pow) -> str:
        base, exponent = expr.as_base_exp()
        return f"{self.parenthesize(base, PRECEDENCE['Pow'])}<sup>{self._print(exponent)}</sup>"

    def _print_floor(self, expr: sp.floor) -> str:
        return f"⌊{self._print(expr.args[0])}⌋"

    def _print_ceiling(self, expr: sp.ceiling) -> str:
        return f"⌈{self._print(expr.args[0])}⌉"

    def _print_Max(self, expr: sp.Max) -> str:
        return f"max({', '.join(map(self._print, expr.args))})"

    def _print_Min(self, expr: sp.Min) -> str:
        condition = indicator(expr)
        if condition is None:
            return f"min({', '.join(map(self._print, expr.args))})"
        left, sign, right = condition
        shown = {"!=": "≠", ">": "&gt;"}[sign]
        return f"[{self._print(left)} {shown} {self._print(right)}]"


def indicator(expr: sp.Min) -> tuple[Expr, str, Expr] | None:
    """What Min(1, x) tells: a condition that is true (1) or false (0)."""
    if len(expr.args) != 2 or sp.Integer(1) not in expr.args:
        return None
    (value,) = (argument for argument in expr.args if argument != 1)
    if not isinstance(value, sp.Abs):
        return value, ">", sp.Integer(0)
    terms = sp.Add.make_args(value.args[0])
    left = sp.Add(*(term for term in terms if not term.could_extract_minus_sign()))
    return left, "!=", left - value.args[0]


def grouped(number: int, gap: str) -> str:
    """An integer with its digits in groups of three where it has more than four."""
    digits = f"{number:,}" if abs(number) >= 10_000 else str(number)
    return digits.replace(",", gap)


_NAMES = {info.symbol: info.latex for info in CATALOGUE.values()}
_TEXT = _Text({"order": "none"})
_LATEX = _Latex({"symbol_names": _NAMES, "order": "none"})
_NARROW = "\N{NARROW NO-BREAK SPACE}"
_HTML = _Html({"order": "none"})


@dataclass(frozen=True)
class _Notation:
    """How terms and brackets are written."""

    term: Callable[[Expr], str]
    times: str
    opening: str
    closing: str
    comma: str = ", "
    maximum: str = "max"


def text(formula: Amount) -> str:
    """A formula as plain text."""
    return joined(text_groups(formula))


def text_groups(formula: Amount) -> list[str]:
    """The groups of a formula as plain text."""
    return _pieces(as_rational(formula), _Notation(_term_text, "*", "(", ")"))


def html(formula: Amount) -> str:
    """A formula as HTML that every viewer shows, whether it typesets math or not."""
    return joined(html_groups(formula))


def html_groups(formula: Amount) -> list[str]:
    """The groups of a formula as HTML."""
    return _pieces(as_rational(formula), _Notation(_term_html, _NARROW, "(", ")"))


def latex(formula: Amount) -> str:
    """A formula as LaTeX."""
    return joined(latex_groups(formula))


def latex_groups(formula: Amount) -> list[str]:
    """The groups of a formula as LaTeX, to be joined by plus signs."""
    return _pieces(as_rational(formula), _Notation(_term_latex, " ", r"\left(", r"\right)"))


def flowing_latex(formula: Amount) -> str:
    """A formula as LaTeX that TeX may break into lines between its terms, inside brackets too."""
    how = _Notation(_flowing_term, r"\,", r"\bigl(", r"\bigr)", r",\allowbreak ", r"\max")
    return joined(_pieces(as_rational(formula), how))


def _flowing_term(term: Expr) -> str:
    return flowing_latex(term) if isinstance(term, sp.Max) else _term_latex(term)


def _pieces(formula: Expr, how: _Notation) -> list[str]:
    if isinstance(formula, sp.Max):
        inside = how.comma.join(joined(_pieces(argument, how)) for argument in formula.args)
        return [f"{how.maximum}{how.opening}{inside}{how.closing}"]
    pieces: list[str] = []
    for group in groups(formula):
        if len(group.terms) == 1:
            pieces.append(how.term(group.terms[0] * group.factor))
            continue
        inside = joined([how.term(term) for term in group.terms])
        if group.factor == 1:
            pieces.append(inside)
        else:
            pieces.append(how.term(group.factor) + how.times + how.opening + inside + how.closing)
    return pieces


def joined(terms: list[str]) -> str:
    """Terms or groups joined by their signs."""
    first, *others = terms
    return first + "".join(
        f" - {term[1:].lstrip()}" if term.startswith("-") else f" + {term}" for term in others
    )


def _fraction(term: Expr) -> tuple[list[Expr], list[Expr]]:
    """Numerator and denominator of a term: the number, then factors in the catalogue's order."""
    sides = []
    for side in sp.fraction(term):
        number, rest = side.as_coeff_Mul()
        factors = [] if rest == 1 else sorted(sp.Mul.make_args(rest), key=_factor_order)
        sides.append([number, *factors] if number != 1 or not factors else factors)
    return sides[0], sides[1]


def _signed_fraction(term: Expr, show: Callable[[Expr], str], join: str) -> tuple[str, str, str]:
    sign = "-" if term.could_extract_minus_sign() else ""
    above, below = _fraction(-term if sign else term)
    return sign, join.join(map(show, above)), join.join(map(show, below))


def _term_text(term: Expr) -> str:
    return _term(term, _TEXT.doprint, "*")


def _term_html(term: Expr) -> str:
    return _term(term, lambda factor: _HTML.parenthesize(factor, PRECEDENCE["Mul"]), _NARROW)


def _term(term: Expr, show: Callable[[Expr], str], join: str) -> str:
    """A term in a line, what lies below its bar in brackets where it has several factors."""
    sign, above, below = _signed_fraction(term, show, join)
    if below == "1":
        return sign + above
    return f"{sign}{above}/({below})" if join in below else f"{sign}{above}/{below}"


def _term_latex(term: Expr) -> str:
    sign, above, below = _signed_fraction(term, _LATEX.doprint, " ")
    return sign + (above if below == "1" else rf"\frac{{{above}}}{{{below}}}")
