"""What tests of exported code share: figures, points, their exact values, and how code is run."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symcost import load
from symcost.cost import METRICS
from symcost.exact import as_rational
from symcost.export.targets import About, Code
from symcost.models.deepseek_ocr.workload import symbolic_costs
from symcost.symbols import CATALOGUE
from tests.numeric.support import by_chance

ABOUT = About("deepseek-ocr", {"execution": "eager"}, {"decode": "T decode steps together"})
Formulas = Mapping[str, sp.Expr]
Point = dict[str, Any]


@cache
def model_formulas() -> Formulas:
    """Figures of all stages and of their parts."""
    found = {}
    for stage, cost in symbolic_costs(load("deepseek-ocr")).items():
        parts = {} if stage == "generation" else cost.parts
        for path, part in {stage: cost, **{f"{stage}.{n}": p for n, p in parts.items()}}.items():
            found |= {f"{path}.{m}": as_rational(part.figure(m)) for m in METRICS}
    return found


@cache
def chance_formulas() -> Formulas:
    """Formulas of every kind of node, rounded to whole numbers; one with a table."""
    chance = random.Random(7)
    made = {
        f"chance{i % 4}.part{i}.flops": sp.floor(by_chance(chance.choice, 4)) for i in range(48)
    }
    clamped = sp.Min(30, CATALOGUE["K"].symbol)
    return made | {"chance0.table.flops": sp.floor(7**15 * sp.Rational(-2, 7) ** clamped / 3)}


SIZES = {"B": 1, "S": 1, "K": 0, "T": 1, "I_g": 64, "I_t": 64, "n_w": 0, "n_h": 0}
PAGE = {"B": 1, "S": 1203, "K": 1203, "T": 7, "I_g": 1024, "I_t": 640, "n_w": 2, "n_h": 3}
EDGES = {
    "B": [1, 2, 193, 194, 195, 2**31],
    "S": [1, 2, 193, 194, 195, 2**31],
    "K": [0, 1, 2**31],
    "T": [1, 2, 3, 2**31],
    "I_g": [64, 960, 1024, 1088, 1280, 1344, 1408, 64 * 2**20],
    "I_t": [64, 448, 512, 640, 1024, 1088, 64 * 2**20],
    "n_w": [0, 1, 2, 2**31],
    "n_h": [0, 1, 3, 2**31],
}
MOST = 2**63 - 1


@cache
def points() -> tuple[Point, ...]:
    """Each for four stages: at random over many magnitudes, and on edges."""
    chance = random.Random(1)

    def size(name: str) -> int:
        step = 64 if name.startswith("I_") else 1
        return max(SIZES[name], step * int(2 ** chance.uniform(0, 11)) - (step == 1))

    found = [{name: size(name) for name in SIZES} for _ in range(1700)]
    found += [{n: chance.choice(values) for n, values in EDGES.items()} for _ in range(400)]
    found += [{n: chance.choice(values[:-1]) for n, values in EDGES.items()} for _ in range(400)]
    found += [PAGE | {name: value} for name, values in EDGES.items() for value in values]
    return (*found, PAGE, SIZES, dict.fromkeys(SIZES, 2**62))


def exact_values(formulas: Formulas, at: Sequence[Point]) -> dict[str, list[int]]:
    """What formulas are at points, in Python's numbers: node by node, at all points at once."""
    count = len(at)
    known: dict[sp.Basic, np.ndarray] = {}

    def column(values: Sequence[Any]) -> np.ndarray:
        made = np.empty(count, object)
        made[:] = values
        return made

    def each(function: Callable[..., Any], *columns: np.ndarray) -> np.ndarray:
        memo: dict[tuple[Any, ...], Any] = {}
        made = []
        for values in zip(*columns, strict=True):
            if values not in memo:
                memo[values] = function(*values)
            made.append(memo[values])
        return column(made)

    nodes: dict[type, Callable[..., np.ndarray]] = {
        sp.Add: lambda *terms: sum(terms[1:], terms[0]),
        sp.Mul: lambda *factors: math.prod(factors[1:], start=factors[0]),
        sp.Pow: lambda base, by: each(lambda b, e: Fraction(b) ** int(e), base, by),
        sp.Min: lambda *values: each(min, *values),
        sp.Max: lambda *values: each(max, *values),
        sp.Abs: abs,
        sp.floor: lambda value: each(math.floor, value),
        sp.ceiling: lambda value: each(math.ceil, value),
    }

    def value(formula: sp.Expr) -> np.ndarray:
        if formula not in known:
            if formula.is_Rational:
                number = Fraction(int(formula.p), int(formula.q))
                known[formula] = column(
                    [int(number) if number.denominator == 1 else number] * count
                )
            elif formula.is_Symbol:
                known[formula] = column([point[formula.name] for point in at])
            elif formula.is_Pow and formula.exp.is_Integer and formula.exp > 0:
                known[formula] = value(formula.base) ** int(formula.exp)
            else:
                number, rest = formula.as_coeff_Mul()
                if formula.is_Mul and not number.is_Integer:
                    found = column(
                        [_times(one, int(number.p), int(number.q)) for one in value(rest)]
                    )
                else:
                    found = nodes[formula.func](*map(value, formula.args))
                fractions = any(isinstance(one, Fraction) for one in found)
                known[formula] = column(list(map(_whole, found))) if fractions else found
        return known[formula]

    return {name: value(formula).tolist() for name, formula in formulas.items()}


def _times(value: Any, number: int, denominator: int) -> Any:
    whole, left = divmod(value * number, denominator)
    return Fraction(value * number) / denominator if left else whole


def _whole(value: Any) -> Any:
    return int(value) if value.denominator == 1 else value


@cache
def expected(which: Callable[[], Formulas]) -> dict[str, list[int]]:
    """The exact values of some formulas at all points."""
    return exact_values(which(), points())


def fields(formulas: Formulas) -> dict[str, dict[str, str]]:
    """The names of figures by stage and by what code calls them."""
    return {
        routine.stage: {result.field: result.name for result in routine.fields}
        for routine in Code.of(formulas).routines
    }


def answers(command: Sequence[str], given: str) -> list[str]:
    """The lines that a program writes."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def tool(name: str) -> str:
    """The path of a program; the test is skipped where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed, so that what it would run is not tested")
    return found


def once_changed(text: str, number: str) -> str:
    """The same code with one of its numbers, one too large."""
    larger = str(int(number.rstrip("n")) + 1) + ("n" if number.endswith("n") else "")
    changed, count = re.subn(rf"\b{number}\b", larger, text, count=1)
    assert count == 1
    return changed


PYTHON_DRIVER = """
import json, sys
import exported
for line in sys.stdin:
    stage, point = json.loads(line)
    try:
        found = getattr(exported, stage)(**point)._asdict()
        print(json.dumps({name: str(value) for name, value in found.items()}))
    except ValueError as error:
        print(json.dumps(str(error)))
"""

NODE_DRIVER = """
import * as exported from "./exported.mjs";
import { readFileSync } from "node:fs";
for (const line of readFileSync(0, "utf8").trim().split("\\n")) {
  const [stage, point] = JSON.parse(line, (_, v) => (/^-?\\d+$/.test(v) ? BigInt(v) : v));
  try {
    const text = (_, value) => (typeof value === "bigint" ? value.toString() : value);
    console.log(JSON.stringify(exported[stage](point), text));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.log(JSON.stringify(error.message));
  }
}
"""


def run_python(text: str, folder: Path, asked: Sequence[tuple[str, Point]]) -> list[Any]:
    """What exported Python answers, without any package; figures as text."""
    (folder / "exported.py").write_text(text)
    (folder / "driver.py").write_text(
        f"import sys\nsys.path[:0] = [{str(folder)!r}]{PYTHON_DRIVER}"
    )
    given = "\n".join(json.dumps(one) for one in asked)
    return [
        json.loads(a) for a in answers([sys.executable, "-IBS", str(folder / "driver.py")], given)
    ]


def run_node(text: str, folder: Path, asked: Sequence[tuple[str, Point]]) -> list[Any]:
    """What exported JavaScript answers; figures as text. Sizes beyond 2^53 go in as BigInt."""
    (folder / "exported.mjs").write_text(text)
    (folder / "driver.mjs").write_text(NODE_DRIVER)
    sizes = [(s, {n: str(v) if v > 2**53 else v for n, v in p.items()}) for s, p in asked]
    given = "\n".join(json.dumps(one) for one in sizes)
    return [json.loads(a) for a in answers([tool("node"), str(folder / "driver.mjs")], given)]


@dataclass(frozen=True)
class CProgram:
    """Exported C that is compiled: where it is, the sizes that it reads, and its stages."""

    path: Path
    sizes: list[str]
    stages: list[str]

    def __call__(self, asked: Sequence[tuple[str, Point]]) -> list[tuple[int, list[int]]]:
        """The status and the figures of each stage at a point."""
        given = "\n".join(
            " ".join(map(str, [self.stages.index(stage), *(at.get(n, 0) for n in self.sizes)]))
            for stage, at in asked
        )
        rows = [list(map(int, line.split())) for line in answers([str(self.path)], given)]
        return [(status, figures) for status, *figures in rows]


def compile_c(
    code: tuple[str, str], folder: Path, formulas: Formulas, prefix: str = "deepseek_ocr"
) -> CProgram:
    """A program that reads a stage's number and sizes, and writes the status and the figures."""
    header, source = code
    gcc = tool("gcc")
    sizes = re.findall(r"int64_t (\w+);", header[: header.index("enum")])
    read = "".join(f' && scanf("%" SCNd64, &s.{name}) == 1' for name in sizes)
    cases = ""
    for number, (stage, of) in enumerate(fields(formulas).items()):
        takes = f"{prefix}_{stage}(const struct" in header.replace("(\n    ", "(")
        call = f"{prefix}_{stage}({'&s, ' if takes else ''}&f)"
        shown = "".join(f'printf(" %" PRId64, f.{field});' for field in of)
        cases += (
            f"case {number}: {{ struct {prefix}_{stage}_figures f; const int status = {call};"
            f' printf("%d", status); if (status == 0) {{ {shown} }} puts(""); break; }}\n'
        )
    (folder / f"{prefix}.h").write_text(header)
    (folder / f"{prefix}.c").write_text(source)
    (folder / "main.c").write_text(
        f'#include "{prefix}.h"\n#include <inttypes.h>\n#include <stdio.h>\n'
        f"int main(void) {{ int stage; struct {prefix}_sizes s;\n"
        f'while (scanf("%d", &stage) == 1{read}) switch (stage) {{\n{cases}}}\nreturn 0; }}\n'
    )
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]
    checked = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    program = folder / "main"
    command = [
        gcc,
        *strict,
        str(folder / "main.c"),
        str(folder / f"{prefix}.c"),
        "-o",
        str(program),
    ]
    done = subprocess.run([*command, *checked], capture_output=True, text=True, check=False)
    if "cannot find -lubsan" in done.stderr:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return CProgram(program, sizes, list(fields(formulas)))
