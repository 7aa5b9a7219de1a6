"""Figures as a Python module without dependencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from symcost.export.targets import (
    IN_TABLES,
    About,
    Call,
    Code,
    Result,
    Routine,
    Step,
    described,
    laid_out,
    wrapped,
    written,
)
from symcost.numeric.forms import Kind
from symcost.symbols import Expr, SymbolInfo

_CHECK = """\
def _check(name: str, value: object, minimum: int, multiple: int, meaning: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} ({meaning}) is {value!r}; allowed: an integer")
    if value < minimum or value % multiple:
        of = f", a multiple of {multiple}" if multiple > 1 else ""
        raise ValueError(f"{name} ({meaning}) is {value}; allowed: at least {minimum}{of}")
"""

_CHECK_FRACTION = """\
def _check_fraction(name: str, value: object, meaning: str) -> None:
    if not isinstance(value, (int, Fraction)) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} ({meaning}) is {value!r}; allowed: a positive int or Fraction")
"""


def export_python(figures: Mapping[str, Expr], about: About) -> str:
    """A module with a function for each stage, which returns its figures as exact integers.

    Figures that need not be whole are of type `fractions.Fraction`.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By STAGE[.PART…].METRIC.
    about : About
        What the module says of itself.

    Raises
    ------
    InputError
        A name is none of these.
    DomainError
        A formula holds what cannot be exported.
    """
    return "\n".join(_module(Code.of(figures), about)) + "\n"


def _module(code: Code, about: About) -> Iterator[str]:
    yield f'"""{about.title}'
    yield ""
    yield from wrapped(about.assumed, "")
    yield '"""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    if any(routine.fractions for routine in code.routines):
        yield "from fractions import Fraction"
    yield "from typing import NamedTuple"
    yield ""
    if code.tables:
        yield from wrapped(IN_TABLES, "# ")
    for name, entries in code.tables.items():
        yield f"_{name} = ("
        yield from wrapped(", ".join(map(str, entries)) + ",", "    ")
        yield ")"
    for routine in code.routines:
        yield from ("", "")
        yield from _figures(routine, about)
    for routine in code.routines:
        yield from ("", "")
        yield from _function(routine, about)
    if any(info.integer for info in code.sizes):
        yield from ("", "", *_CHECK.splitlines())
    if not all(info.integer for info in code.sizes):
        yield from ("", "", *_CHECK_FRACTION.splitlines())


def _figures(routine: Routine, about: About) -> Iterator[str]:
    yield f"class {routine.class_name}(NamedTuple):"
    yield f'    """{about.stage(routine.stage)}: figures."""'
    yield ""
    for result in routine.fields:
        yield f"    {result.field}: {_type(result.fraction)}"
        yield f'    """{result.about}"""'


def _type(fraction: bool) -> str:
    return "Fraction" if fraction else "int"


def _function(routine: Routine, about: About) -> Iterator[str]:
    taken = [f"{i.name}: {'int' if i.integer else 'int | Fraction'}" for i in routine.sizes]
    call = routine.stage, ["*", *taken] if taken else [""]
    yield from laid_out("def ", call, f" -> {routine.class_name}:", "")
    yield f'    """{about.stage(routine.stage)}.'
    yield ""
    if routine.sizes:
        yield from ("    Parameters", "    ----------")
    for info, declared in zip(routine.sizes, taken, strict=True):
        yield f"    {declared.replace(':', ' :')}"
        yield from wrapped(described(info, info.domain), "        ")
    if routine.sizes:
        yield from ("", "    Raises", "    ------", "    ValueError")
        yield "        A size lies outside its domain; the message names it."
    yield '    """'
    for info in routine.sizes:
        yield f"    {_checked(info)}"
    yield ""
    for step in routine.steps:
        yield from _assigned(step.name, _step(step))
    yield ""
    for result in routine.results:
        yield from _assigned(result.field, _result(result))
    yield ""
    yield f"    return {routine.class_name}("
    for result in routine.fields:
        yield f"        {result.field}={result.field},"
    yield "    )"


def _checked(info: SymbolInfo) -> str:
    if not info.integer:
        return f'_check_fraction("{info.name}", {info.name}, "{info.meaning}")'
    limits = f"{info.minimum}, {info.multiple_of}"
    return f'_check("{info.name}", {info.name}, {limits}, "{info.meaning}")'


def _assigned(name: str, value: Call) -> list[str]:
    return [] if value == ("", [name]) else laid_out(f"{name} = ", value, "", "    ")


def _step(step: Step) -> Call:
    if step.kind is None:
        return "", [" * ".join(step.factors)]
    if step.kind is Kind.SIZE:
        return "", [step.factors[0] + (f" // {step.number}" if step.number > 1 else "")]
    arguments = list(map(written, step.arguments))
    if step.kind is Kind.FLOOR:
        return "", [f"({arguments[0]}) // {step.number}"]
    if step.kind is Kind.LOOKUP:
        return "", [f"_{step.table}[{arguments[0]}]"]
    return {Kind.LEAST: "min", Kind.GREATEST: "max", Kind.MAGNITUDE: "abs"}[step.kind], arguments


def _result(result: Result) -> Call:
    sums = list(map(written, result.sums))
    if len(sums) > 1 and not (result.known or result.fraction or result.denominator > 1):
        return "max", sums
    parts = list(result.known)
    if sums:
        value = sums[0] if len(sums) == 1 else f"max({', '.join(sums)})"
        if result.denominator > 1:
            over = f"Fraction(1, {result.denominator})" if result.fraction else result.denominator
            value = f"({value}) {'*' if result.fraction else '//'} {over}"
        parts.append(value)
    return "Fraction" if result.fraction else "", [" + ".join(parts)]
