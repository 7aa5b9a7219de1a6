"""Figures as a header and a source file in C99, on 64-bit integers that are checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import accumulate
from operator import mul

from symcost.errors import DomainError
from symcost.export.targets import (
    IN_TABLES,
    WIDTH,
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
)
from symcost.numeric.forms import Kind
from symcost.symbols import Expr

_MOST = (1 << 63) - 1

_HELPERS = {
    "product": """\
static int64_t product(bool *fits, int64_t a, int64_t b)
{
    const bool beyond = a > 0 ? (b > 0 ? a > INT64_MAX / b : b < INT64_MIN / a)
                              : (b > 0 ? a < INT64_MIN / b : a != 0 && b < INT64_MAX / a);
    if (beyond) {
        *fits = false;
        return 0;
    }
    return a * b;
}
""",
    "sum": """\
struct term {
    int64_t number;
    int64_t of;
};

/* The sum of number * of. */
static int64_t sum(bool *fits, const struct term *terms, size_t count)
{
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t value = product(fits, terms[i].number, terms[i].of);
        if (value > 0 ? total > INT64_MAX - value : total < INT64_MIN - value) {
            *fits = false;
            return 0;
        }
        total += value;
    }
    return total;
}

#define SUM(...)                                                                                  \\
    sum(&fits, (const struct term[]){__VA_ARGS__},                                                \\
        sizeof((const struct term[]){__VA_ARGS__}) / sizeof(struct term))
""",
    "least": """\
static int64_t least(const int64_t *values, size_t count)
{
    int64_t found = values[0];
    for (size_t i = 1; i < count; i++)
        found = values[i] < found ? values[i] : found;
    return found;
}

#define LEAST(...)                                                                                \\
    least((const int64_t[]){__VA_ARGS__},                                                         \\
          sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
""",
    "greatest": """\
static int64_t greatest(const int64_t *values, size_t count)
{
    int64_t found = values[0];
    for (size_t i = 1; i < count; i++)
        found = values[i] > found ? values[i] : found;
    return found;
}

#define GREATEST(...)                                                                             \\
    greatest((const int64_t[]){__VA_ARGS__},                                                      \\
             sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
""",
    "distance": """\
static int64_t distance(bool *fits, int64_t value)
{
    return value < 0 ? product(fits, -1, value) : value;
}
""",
    "floor_divide": """\
static int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}
""",
    "entry": """\
static int64_t entry(bool *fits, const int64_t *table, size_t count, int64_t place)
{
    if (place < 0 || (uint64_t)place >= count) {
        *fits = false;
        return 0;
    }
    return table[place];
}
""",
}
"""What functions call, by name; those behind the first may call it."""


def export_c(figures: Mapping[str, Expr], about: About) -> tuple[str, str]:
    """A header and a source with a function for each stage; what does not fit is refused.

    The source includes MODEL.h, the header.

    Widths and other sizes that may be fractions are whole numbers here.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By STAGE[.PART…].METRIC.
    about : About
        What the files say of themselves.

    Raises
    ------
    InputError
        A name is none of these.
    DomainError
        A formula holds what cannot be exported, a number beyond 64 bits, or a figure need not be a
        whole number.
    """
    code = Code.of(figures)
    code.require_whole("c")
    for number in _numbers(code):
        if abs(number) > _MOST:
            raise DomainError(
                f"the figures hold {number}, which is beyond 64 bits; export python or javascript"
            )
    return "\n".join(_header(code, about)) + "\n", "\n".join(_source(code, about)) + "\n"


def _numbers(code: Code) -> Iterator[int]:
    for routine in code.routines:
        yield from (step.number for step in routine.steps)
        yield from (result.denominator for result in routine.results)
        arguments = [terms for step in routine.steps for terms in step.arguments]
        for terms in arguments + [terms for result in routine.results for terms in result.sums]:
            yield from (number for number, _ in terms)
    for entries in code.tables.values():
        yield from entries


def _comment(*texts: str, indent: str = "") -> Iterator[str]:
    lines = [line for text in texts for line in wrapped(text, f"{indent} * ")]
    if len(lines) == 1:
        yield f"{indent}/* {lines[0].strip(' *')} */"
    else:
        yield from (f"{indent}/*", *lines, f"{indent} */")


def _header(code: Code, about: About) -> Iterator[str]:
    prefix, guard = about.identifier, f"{about.identifier.upper()}_H"
    text = [
        about.title,
        about.assumed,
        "Every function checks the sizes that it takes, and computes with 64-bit integers. It "
        "returns 0 and sets all figures, or says why not and sets none. It is exact wherever the "
        "figures, and the sums of products that they are made of, fit into 64 bits, and returns "
        f"{prefix.upper()}_OVERFLOW elsewhere.",
    ]
    yield from _comment(*text)
    yield from (f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", "")
    yield from ("#ifdef __cplusplus", 'extern "C" {', "#endif", "")
    if code.sizes:
        yield f"struct {prefix}_sizes {{"
        for info in code.sizes:
            yield from _comment(described(info, whole_domain(info)), indent="    ")
            yield f"    int64_t {info.name};"
        yield from ("};", "")
    yield f"enum {prefix}_status {{"
    yield f"    {prefix.upper()}_OK = 0,"
    yield "    /* A figure, or a number on the way to it, is beyond 64 bits. */"
    yield f"    {prefix.upper()}_OVERFLOW = 1,"
    for number, info in enumerate(code.sizes, start=2):
        yield f"    /* {info.name} is no {whole_domain(info)}. */"
        yield f"    {prefix.upper()}_BAD_{info.name} = {number},"
    yield "};"
    for routine in code.routines:
        yield ""
        yield f"struct {prefix}_{routine.stage}_figures {{"
        for result in routine.fields:
            line = f"    int64_t {result.field}; /* {result.about} */"
            if len(line) > WIDTH:
                yield from _comment(result.about, indent="    ")
                line = f"    int64_t {result.field};"
            yield line
        yield from ("};", "")
        said = [f"{about.stage(routine.stage)}."]
        if routine.sizes:
            said.append(f"Takes {', '.join(info.name for info in routine.sizes)}.")
            limits = _limits(code, routine)
            if limits:
                within = ", ".join(f"{name} <= {most}" for name, most in limits.items())
                said.append(f"Nothing overflows where {within}; more is taken as far as it fits.")
        yield from _comment(*said)
        yield from _signature(routine, prefix, ";")
    yield from ("", "#ifdef __cplusplus", "}", "#endif", "", "#endif")


def _signature(routine: Routine, prefix: str, end: str = "") -> list[str]:
    name = f"{prefix}_{routine.stage}"
    taken = [f"const struct {prefix}_sizes *sizes"] if routine.sizes else []
    call = name, [*taken, f"struct {name}_figures *figures"]
    return laid_out("int ", call, end, "")


def _source(code: Code, about: About) -> Iterator[str]:
    functions = [line for routine in code.routines for line in _function(routine, about)]
    called = {name.lower() for name in re.findall(r"\w+(?=\()", "\n".join(functions))}
    needed = called & set(_HELPERS)
    needed |= {"product"} if needed & {"sum", "distance"} else set()
    yield from _comment(f"{about.title} See {about.identifier}.h.")
    yield f'#include "{about.identifier}.h"'
    yield from ("", "#include <stdbool.h>", "#include <stddef.h>")
    for name, helper in _HELPERS.items():
        if name in needed:
            yield from ("", helper.rstrip())
    if code.tables:
        yield from ("", *_comment(IN_TABLES))
    for name, entries in code.tables.items():
        yield from ("", f"static const int64_t {name}[] = {{")
        yield from wrapped(", ".join(map(str, entries)) + ",", "    ")
        yield "};"
    yield from functions


def _function(routine: Routine, about: About) -> Iterator[str]:
    prefix = about.identifier
    yield ""
    yield from _signature(routine, prefix)
    yield "{"
    yield "    bool fits = true;"
    yield f"    struct {prefix}_{routine.stage}_figures found;"
    for info in routine.sizes:
        outside = f"sizes->{info.name} < {info.minimum}"
        if info.multiple_of > 1:
            outside += f" || sizes->{info.name} % {info.multiple_of} != 0"
        yield f"    if ({outside})"
        yield f"        return {prefix.upper()}_BAD_{info.name};"
    yield ""
    for step in routine.steps:
        yield from laid_out(f"const int64_t {step.name} = ", _step(step), ";", "    ")
    yield ""
    for result in routine.results:
        yield from laid_out(f"found.{result.field} = ", _result(result), ";", "    ")
    yield ""
    yield "    if (!fits)"
    yield f"        return {prefix.upper()}_OVERFLOW;"
    yield "    *figures = found;"
    yield f"    return {prefix.upper()}_OK;"
    yield "}"


def _step(step: Step) -> Call:
    if step.kind is None:
        return "", [reduce(lambda a, b: f"product(&fits, {a}, {b})", step.factors)]
    if step.kind is Kind.SIZE:
        taken = f"sizes->{step.factors[0]}"
        return "", [taken + (f" / {step.number}" if step.number > 1 else "")]
    arguments = [_text(_sum(terms)) for terms in step.arguments]
    if step.kind is Kind.FLOOR:
        return "floor_divide", [*arguments, str(step.number)]
    if step.kind is Kind.LOOKUP:
        count = f"sizeof {step.table} / sizeof *{step.table}"
        return "entry", ["&fits", step.table, count, *arguments]
    if step.kind is Kind.MAGNITUDE:
        return "distance", ["&fits", *arguments]
    return "LEAST" if step.kind is Kind.LEAST else "GREATEST", arguments


def _sum(terms: Sum) -> Call:
    if not terms:
        return "", ["0"]
    ((number, name), *more) = terms
    if not more and (not name or number == 1):
        return "", [name or str(number)]
    return "SUM", [", ".join(f"{{{number}, {name or 1}}}" for number, name in terms)]


def _text(call: Call) -> str:
    called, arguments = call
    return f"{called}({', '.join(arguments)})" if called else arguments[0]


def _result(result: Result) -> Call:
    known: Sum = tuple((1, f"found.{name}") for name in result.known)
    if len(result.sums) <= 1 and result.denominator == 1:
        return _sum(known + sum(result.sums, ()))
    sums = [_text(_sum(terms)) for terms in result.sums]
    if not known and result.denominator == 1:
        return "GREATEST", sums
    value = sums[0] if len(sums) == 1 else f"GREATEST({', '.join(sums)})"
    return _sum(
        (*known, (1, f"{value} / {result.denominator}" if result.denominator > 1 else value))
    )


def _limits(code: Code, routine: Routine) -> dict[str, int]:
    """Sizes up to which nothing overflows, by name: all are doubled in turn while that is so."""
    limits = {i.name: -(-max(i.minimum, 1) // i.multiple_of) * i.multiple_of for i in routine.sizes}
    if not _fits(code, routine, limits):
        return {}
    growing = list(limits)
    while growing:
        for name in tuple(growing):
            larger = {**limits, name: 2 * limits[name]}
            if max(larger.values()) <= _MOST and _fits(code, routine, larger):
                limits = larger
            else:
                growing.remove(name)
    return limits


def _fits(code: Code, routine: Routine, limits: Mapping[str, int]) -> bool:
    """Whether it is proved that nothing overflows up to limits: magnitudes are bounded."""
    most = {"": 1, **limits}
    signed: set[str] = set()
    reached = 0

    def reach(terms: Sum) -> int:
        return sum(abs(number) * most[name] for number, name in terms)

    for step in routine.steps:
        reaches = list(map(reach, step.arguments))
        negative = any(n < 0 or name in signed for terms in step.arguments for n, name in terms)
        if step.kind is None:
            reaches = list(accumulate((most[name] for name in step.factors), mul))
            most[step.name] = reaches[-1]
            negative = any(name in signed for name in step.factors)
        elif step.kind is Kind.SIZE:
            most[step.name] = most[step.factors[0]] // step.number
        elif step.kind is Kind.LOOKUP:
            most[step.name] = max(map(abs, code.tables[step.table]))
            negative = min(code.tables[step.table]) < 0
        elif step.kind is Kind.FLOOR:
            most[step.name] = reaches[0] // step.number + 1
        else:
            smallest = step.kind is Kind.LEAST and not negative
            most[step.name] = min(reaches) if smallest else max(reaches)
            negative = negative and step.kind is not Kind.MAGNITUDE
        reached = max(reached, *reaches, 0)
        signed |= {step.name} if negative else set()
    for result in routine.results:
        rest = max(map(reach, result.sums), default=0)
        held = sum(most[f"found.{name}"] for name in result.known)
        most[f"found.{result.field}"] = held + rest // result.denominator + 1
        reached = max(reached, rest, held + rest // result.denominator + 1)
    return reached <= _MOST
