"""Figures as an ES module that computes with BigInt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from symcost.export.targets import (
    IN_TABLES,
    About,
    Call,
    Code,
    Result,
    Routine,
    Step,
    Sum,
    described,
    laid_out,
    whole_domain,
    wrapped,
    written,
)
from symcost.numeric.forms import Kind
from symcost.symbols import Expr

_HELPERS = {
    "whole": """\
/** A size as a BigInt; one outside its domain is refused. */
function whole(name, value, minimum, multiple, meaning) {
  const size = Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof size !== "bigint" || size < minimum || size % multiple !== 0n) {
    const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
    const of = multiple > 1n ? `, a multiple of ${multiple}` : "";
    const least = `of at least ${minimum}${of}`;
    throw new RangeError(
      `${name} (${meaning}) is ${shown}; allowed: a safe integer or a BigInt ${least}`,
    );
  }
  return size;
}
""",
    "least": """\
function least(...values) {
  return values.reduce((one, other) => (other < one ? other : one));
}
""",
    "greatest": """\
function greatest(...values) {
  return values.reduce((one, other) => (other > one ? other : one));
}
""",
    "distance": """\
function distance(value) {
  return value < 0n ? -value : value;
}
""",
    "floorDivide": """\
function floorDivide(value, by) {
  return value / by - (value % by < 0n ? 1n : 0n);
}
""",
}


def export_javascript(figures: Mapping[str, Expr], about: About) -> str:
    """An ES module with a function for each stage, which returns its figures as BigInts.

    Widths and other sizes that may be fractions are whole numbers here.

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
        A formula holds what cannot be exported, or a figure need not be a whole number.
    """
    code = Code.of(figures)
    code.require_whole("javascript")
    body = "\n".join(_module(code, about))
    for name, helper in _HELPERS.items():
        if re.search(rf"\b{name}\(", body):
            body += f"\n\n{helper.rstrip()}"
    return body + "\n"


def _module(code: Code, about: About) -> Iterator[str]:
    yield "/**"
    yield from wrapped(about.title, " * ")
    yield from wrapped(about.assumed, " * ")
    yield " */"
    if code.tables:
        yield from ("", *wrapped(IN_TABLES, "// "))
    for name, entries in code.tables.items():
        yield from ("", f"const {name} = [")
        yield from wrapped(", ".join(f"{entry}n" for entry in entries) + ",", "  ")
        yield "];"
    for routine in code.routines:
        yield ""
        yield from _function(routine, about)


def _function(routine: Routine, about: About) -> Iterator[str]:
    yield "/**"
    yield f" * @typedef {{object}} {routine.class_name}"
    for result in routine.fields:
        yield from wrapped(f"@property {{bigint}} {result.field} {result.about}", " * ", "  ")
    yield from (" */", "", "/**")
    yield from wrapped(f"{about.stage(routine.stage)}.", " * ")
    yield " *"
    if routine.sizes:
        yield " * @param {object} sizes"
    for info in routine.sizes:
        said = f"@param {{number|bigint}} sizes.{info.name} {described(info, whole_domain(info))}"
        yield from wrapped(said, " * ", "  ")
    yield f" * @returns {{{routine.class_name}}}"
    if routine.sizes:
        yield " * @throws {RangeError} A size lies outside its domain; the message names it."
    yield " */"
    yield f"export function {routine.stage}({'sizes = {}' if routine.sizes else ''}) {{"
    for info in routine.sizes:
        limits = [f"{info.minimum}n", f"{info.multiple_of}n", f'"{info.meaning}"']
        arguments = [f'"{info.name}"', f"sizes.{info.name}", *limits]
        yield from laid_out(f"const {info.name} = ", ("whole", arguments), ";", "  ")
    yield ""
    for step in routine.steps:
        yield from _assigned(step.name, _step(step))
    yield ""
    for result in routine.results:
        yield from _assigned(result.field, _result(result))
    yield ""
    yield "  return {"
    for result in routine.fields:
        yield f"    {result.field},"
    yield "  };"
    yield "}"


def _assigned(name: str, value: Call) -> list[str]:
    if value == ("", [name]):
        return []
    return laid_out(f"const {name} = ", value, ";", "  ", bare=True)


def _step(step: Step) -> Call:
    if step.kind is None:
        return "", [" * ".join(step.factors)]
    if step.kind is Kind.SIZE:
        return "", [step.factors[0] + (f" / {step.number}n" if step.number > 1 else "")]
    arguments = list(map(_sum, step.arguments))
    if step.kind is Kind.FLOOR:
        return "floorDivide", [*arguments, f"{step.number}n"]
    if step.kind is Kind.LOOKUP:
        return "", [f"{step.table}[{arguments[0]}]"]
    called = {Kind.LEAST: "least", Kind.GREATEST: "greatest", Kind.MAGNITUDE: "distance"}
    return called[step.kind], arguments


def _sum(terms: Sum) -> str:
    return written(terms, "n")


def _result(result: Result) -> Call:
    sums = list(map(_sum, result.sums))
    if len(sums) > 1 and not result.known and result.denominator == 1:
        return "greatest", sums
    parts = list(result.known)
    if sums:
        value = sums[0] if len(sums) == 1 else f"greatest({', '.join(sums)})"
        parts.append(f"({value}) / {result.denominator}n" if result.denominator > 1 else value)
    return "", [" + ".join(parts)]
