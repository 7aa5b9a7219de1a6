"""Readers of exported formulas that know nothing of symcost: JSON, the text of a table, MathML."""

from __future__ import annotations

import ast
import json
import math
import operator
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from functools import reduce
from typing import Any

from tests.export.columns import Column, greatest, least

Sizes = Mapping[str, Column]


class Tree:
    """Reads a tree of JSON; a part that comes again is computed once."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._known: dict[str, Column] = {}

    def __call__(self, value: Any) -> Column:
        if isinstance(value, int):
            return Column(value)
        if isinstance(value, str):
            return self._sizes[value]
        key = json.dumps(value)
        if key not in self._known:
            self._known[key] = self._operation(*value)
        return self._known[key]

    def _operation(self, name: str, *operands: Any) -> Column:
        first, *others = map(self, operands)
        if name in ("+", "*"):
            return reduce({"+": operator.add, "*": operator.mul}[name], others, first)
        if name in ("^", "/"):
            (other,) = others
            return first**other if name == "^" else first / other
        if name in ("min", "max"):
            return {"min": least, "max": greatest}[name](first, *others)
        assert not others
        return {"abs": abs, "floor": math.floor, "ceiling": math.ceil}[name](first)


_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.NotEq: operator.ne,
}
_FUNCTIONS = {"min": least, "max": greatest, "abs": abs}
_FUNCTIONS |= {"floor": math.floor, "ceiling": math.ceil}


class Text:
    """Reads text by Python's rules, but for brackets of conditions."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._known: dict[str, Column] = {}

    def __call__(self, text: str) -> Column:
        code = text.replace("[", "(").replace("]", ")")
        return self._value(ast.parse(code, mode="eval").body)

    def _value(self, node: Any) -> Column:
        if isinstance(node, ast.Name):
            return self._sizes[node.id]
        if isinstance(node, ast.Constant):
            return Column(int(node.value))
        key = ast.unparse(node)
        if key not in self._known:
            self._known[key] = self._made(node)
        return self._known[key]

    def _made(self, node: Any) -> Column:
        if isinstance(node, ast.Call):
            return _FUNCTIONS[node.func.id](*map(self._value, node.args))
        if isinstance(node, ast.UnaryOp):
            return -self._value(node.operand)
        if isinstance(node, ast.Compare):
            (sign,), (right,) = node.ops, node.comparators
            return _OPERATORS[type(sign)](self._value(node.left), self._value(right))
        return _OPERATORS[type(node.op)](self._value(node.left), self._value(node.right))


_MATHML = "{http://www.w3.org/1998/Math/MathML}"
_FENCES = {"(": ")", "[": "]", "⌈": "⌉", "⌊": "⌋", "∣": "∣"}


class MathML:
    """Reads what KaTeX makes of LaTeX: rows of signs, in which products have none."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._known: dict[str, Column] = {}

    def __call__(self, text: str) -> Column:
        math_element = ET.fromstring(text.replace("&nbsp;", " ")).find(f".//{_MATHML}semantics")  # noqa: S314
        assert math_element is not None
        return self._row([math_element[0]])

    def _row(self, elements: list[ET.Element]) -> Column:
        return _Row(self, _flat(elements)).whole()

    def value(self, element: ET.Element) -> Column:
        """The value of an element that is no sign."""
        key = ET.tostring(element, encoding="unicode")
        if key not in self._known:
            self._known[key] = self._value(element)
        return self._known[key]

    def _value(self, element: ET.Element) -> Column:
        tag = element.tag.removeprefix(_MATHML)
        if tag == "mn":
            return Column(int((element.text or "").replace(",", "")))
        if tag in ("mi", "msub"):
            return self._sizes[_name(element)]
        if tag == "mfrac":
            above, below = element
            return self._row([above]) / self._row([below])
        if tag == "msup":
            base, exponent = element
            return self._row([base]) ** self._row([exponent])
        assert tag == "msubsup", tag
        base, index, exponent = element
        return self._sizes[f"{_name(base)}_{_name(index)}"] ** self._row([exponent])


def _name(element: ET.Element) -> str:
    if element.tag == f"{_MATHML}msub":
        return "_".join(map(_name, element))
    return "".join(element.itertext())


def _flat(elements: list[ET.Element]) -> list[ET.Element]:
    """What rows hold, without the rows and the gaps."""
    found: list[ET.Element] = []
    for element in elements:
        if element.tag == f"{_MATHML}mrow":
            found += _flat(list(element))
        elif element.tag not in (f"{_MATHML}mspace", f"{_MATHML}mtext"):
            found.append(element)
    return found


class _Row:
    def __init__(self, reader: MathML, elements: list[ET.Element]) -> None:
        self._reader = reader
        self._left = elements[::-1]

    def whole(self) -> Column:
        found = self._sum()
        assert not self._left, [self._sign() for _ in self._left]
        return found

    def _sign(self) -> str:
        """The next sign; empty at the end and where something else comes."""
        if self._left and self._left[-1].tag == f"{_MATHML}mo":
            return self._left[-1].text or ""
        return ""

    def _take(self, sign: str) -> None:
        assert self._sign() == sign
        self._left.pop()

    def _sum(self) -> Column:
        negative = self._sign() == "−"
        if negative:
            self._take("−")
        found = -self._product() if negative else self._product()
        while (sign := self._sign()) in ("+", "−"):
            self._take(sign)
            found = found + self._product() if sign == "+" else found - self._product()
        return found

    def _product(self) -> Column:
        found = self._factor()
        while self._left and (not self._sign() or self._opens()):
            found = found * self._factor()
        return found

    def _opens(self) -> bool:
        return self._sign() in _FENCES and self._sign() != "∣"

    def _factor(self) -> Column:
        sign = self._sign()
        if sign in _FENCES:
            return self._fenced(sign)
        element = self._left.pop()
        name = element.text if element.tag == f"{_MATHML}mi" else None
        if name in ("min", "max"):
            self._take("\u2061")
            self._take("(")
            choices = [self._sum()]
            while self._sign() == ",":
                self._take(",")
                choices.append(self._sum())
            self._take(")")
            return (least if name == "min" else greatest)(*choices)
        return self._reader.value(element)

    def _fenced(self, sign: str) -> Column:
        self._take(sign)
        inside = self._sum()
        if sign == "[":
            condition = self._sign()
            self._take(condition)
            other = self._sum()
            inside = {">": operator.gt, "≠": operator.ne}[condition](inside, other)
        self._take(_FENCES[sign])
        turned = {"⌈": math.ceil, "⌊": math.floor, "∣": abs}.get(sign)
        return turned(inside) if turned else inside
