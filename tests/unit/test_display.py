"""What notebooks show: formulas and numbers as they are, in HTML, Markdown and LaTeX that hold."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from html.parser import HTMLParser

import pytest
import sympy as sp

import symcost
from symcost import formulas
from symcost.cost import COLUMNS, METRICS, cost_rows
from symcost.exact import evaluate
from symcost.insight import Rooflines, Subject, device_named, solve_conditions
from symcost.layers.catalogue import GENERAL_LAYERS
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.render.listing import formula_rows
from symcost.stages import GraphLayer
from symcost.symbols import CATALOGUE, B, C, K, S, n_h, n_w

PAGE = symcost.views_of_page(1654, 2339)
PAGE_MODEL = symcost.load("deepseek-ocr", views=PAGE)
ANSWER = symcost.get_generation_cost(PAGE_MODEL, context_len=924, batch_size=1, new_tokens=1000)
STAGES = symbolic_stages(symcost.load("deepseek-ocr", views=None))
STEP = STAGES["decode"]
SUBJECT = Subject.of("deepseek-ocr", "batch", no_image=True, context_len=100)
CROPS = Subject.of("deepseek-ocr", "crops")
LAYER = GraphLayer(GENERAL_LAYERS[-1].graph())
BACKWARD = LAYER.get_backward_cost()
FIGURES_ONLY = symcost.DeepseekOCRModel.from_layers(symcost.FixedLayer(symcost.Cost()), None, 1)
HOSTILE = "<b>&|$x_1${}\\`"

DISPLAYED = {
    "numbers": ANSWER,
    "formulas": STEP,
    "backward": BACKWARD.bind(dict.fromkeys(BACKWARD.free_symbols, 2)),
    "layer": LAYER,
    "long layer": PAGE_MODEL._step_decoder,
    "general layer": GENERAL_LAYERS[-1],
    "graph": LAYER.graph,
    "fixed layer": symcost.FixedLayer(symcost.Cost.of("a", macs=5 * B)),
    "model": PAGE_MODEL,
    "model of layers": FIGURES_ONLY,
    "solution": solve_conditions(SUBJECT, ["generation.resident_bytes <= 40GB"]),
    "grids": solve_conditions(CROPS, ["vision.flops <= 3 TFLOPs"]),
    "latency": Rooflines(SUBJECT).at(device_named("A100-40GB"), 8),
    "hostile": symcost.Cost.together(**{HOSTILE: symcost.Cost.of(HOSTILE, macs=7)}),
}

TAGS = {"div", "b", "ul", "li", "details", "summary", "i", "sub", "sup"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """HTML read strictly: the cells of its tables, and an error where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.cells: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)
        if tag == "td":
            self.cells.append([dict(attrs).get("title", ""), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open:
            self.cells[-1][1] += data


@pytest.mark.parametrize("name", DISPLAYED)
def test_html_is_well_formed_and_takes_no_colours(name):
    shown = DISPLAYED[name]._repr_html_()
    page = Page(shown)
    assert page.cells
    assert page.tags <= TAGS
    assert set(re.findall(r'style="([^"]*)"', shown)) <= {"text-align: left", "text-align: right"}


@pytest.mark.parametrize("broken", ["<table><tr></table>", "<b>", "</b>"])
def test_html_that_is_not_well_formed_is_noticed(broken):
    with pytest.raises((AssertionError, IndexError)):
        Page(broken)


@pytest.mark.parametrize("name", DISPLAYED)
def test_rows_of_markdown_have_as_many_cells_as_columns(name):
    columns = 0
    for line in DISPLAYED[name]._repr_markdown_().splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert not line.startswith("|") or not columns or cells == columns
        columns = cells if line.startswith("|") else 0


@pytest.mark.parametrize("name", DISPLAYED)
def test_latex_is_one_formula_whose_brackets_match(name):
    latex = DISPLAYED[name]._repr_latex_()
    assert re.fullmatch(r"\$\\displaystyle (?:[^$\\]|\\.)*\$", latex, re.DOTALL)
    open_braces = 0
    for sign in re.sub(r"\\.", "", latex):
        open_braces += {"{": 1, "}": -1}.get(sign, 0)
        assert open_braces >= 0
    assert open_braces == 0
    for begun, ended in ((r"\\begin{array}", r"\\end{array}"), (r"\\left\b", r"\\right\b")):
        assert len(re.findall(begun, latex)) == len(re.findall(ended, latex))


def test_names_are_words_in_every_format():
    shown = DISPLAYED["hostile"]
    assert HOSTILE in [text.strip("\xa0") for _, text in Page(shown._repr_html_()).cells]
    row = next(line for line in shown._repr_markdown_().splitlines() if r"x\_1" in line)
    name = re.split(r"(?<!\\)\|", row)[1].strip().removeprefix("&nbsp;" * 4)
    assert not re.search(r"(?<!\\)[<>|$_{}`]", name)
    assert re.sub(r"\\(.)", r"\1", name) == HOSTILE
    told = r"\text{<b>}\&\text{|}\$\text{x}\_\text{1}\$\{\}\backslash \text{`}"
    assert told in shown._repr_latex_()


def test_a_symbol_of_any_name_is_a_word_in_html():
    cost = symcost.Cost.of("a", macs=sp.Symbol("<script>", positive=True))
    page = Page(cost._repr_html_())
    assert page.tags <= TAGS
    assert ["", "2\u202f<script>"] in page.cells


def parts_of(name: str, cost: symcost.Cost) -> Iterator[tuple[str, symcost.Cost]]:
    yield name, cost
    for part, share in cost.parts.items():
        yield from parts_of(part, share)


def test_numbers_carry_all_their_digits():
    cells = iter(Page(ANSWER._repr_html_()).cells)
    rows = cost_rows("whole", ANSWER)
    for (name, cost), (_, _, row) in zip(parts_of("whole", ANSWER), rows, strict=True):
        assert next(cells)[1].strip("\xa0") == name
        for metric, rounded in zip(COLUMNS.values(), row, strict=True):
            exact, text = next(cells)
            assert text.replace("\xa0", " ") == rounded.text
            if metric == "intensity":
                assert Fraction(exact) == Fraction(cost.flops) / cost.bytes_moved
            else:
                assert int(exact.removesuffix(" B").replace(",", "")) == cost.figure(metric)
    assert next(cells, None) is None


def test_formulas_are_those_of_symcost_formulas():
    shown = STEP._repr_markdown_()
    labels = {
        "flops": "FLOPs",
        "matrix_flops": "matrix FLOPs",
        "bytes_written": "bytes written",
        "activation_bytes": "activation bytes",
        "kv_bytes": "KV bytes",
    }
    for row in formula_rows(STAGES, "decode", None, list(METRICS)):
        if row.where == "decode" and row.metric in labels:
            assert f"\n| {labels.pop(row.metric)} | ${row.latex}$ |\n" in shown
        elif row.metric == "flops":
            part = row.where.removeprefix("decode / ").replace("_", "\\_")
            assert f"\n| {part} | ${row.latex}$ |\n" in shown
    assert not labels


def test_what_is_cut_is_counted_and_folded():
    groups = formulas.html_groups(STEP.bytes_read)
    start, whole = re.search(
        r"<td[^>]*>bytes read</td><td[^>]*><details><summary>(.*)</summary>(.*)</details></td>",
        STEP._repr_html_(),
    ).groups()
    assert whole == formulas.html(STEP.bytes_read) == formulas.joined(groups)
    more = int(re.search(r" \+ … \((\d+) more terms?\)$", start)[1])
    assert start.startswith(f"{formulas.joined(groups[:-more])} + … (")
    assert f"({more} more term" in STEP._repr_latex_()
    assert f"({more} more term" in STEP._repr_markdown_()
    assert "symcost.formulas.text has all terms" in STEP._repr_markdown_()


def test_rows_that_are_left_out_are_counted():
    layer = DISPLAYED["long layer"]
    operators = len(layer.graph.operations)
    rows = [line for line in layer._repr_markdown_().splitlines() if line.startswith("| model.")]
    assert f"* {operators - len(rows)} more rows are left out\n" in layer._repr_markdown_()
    assert layer._repr_html_().count("<td") > 7 * operators
    assert f"<details><summary>{operators} operators" in layer._repr_html_()


SIGNS = {
    "⌈": "ceil(",
    "⌉": ")",
    "⌊": "floor(",
    "⌋": ")",
    "<sup>": "**(",
    "</sup>": ")",
    "\u202f": "*",
    "≠": "!=",
    "&gt;": ">",
    "[": "int(",
    "]": ")",
}
"""What people read, as Python."""


def letters_of(symbol: sp.Symbol) -> str:
    name = CATALOGUE[symbol.name].latex
    index = f"<sub>{name[2:].strip('{}')}</sub>" if name[1:] else ""
    return f"<i>{name[0]}</i>{index}"


def value_of(shown: str, point: dict[sp.Symbol, int]) -> Fraction:
    """HTML computed as the arithmetic that a person sees."""
    code = re.sub(r"(?<=\d),(?=\d)", "", shown)
    code = re.sub(r"(?<![\w>])\d+", r"F(\g<0>)", code)
    for letters in sorted(map(letters_of, point), key=len, reverse=True):
        (value,) = (v for s, v in point.items() if letters_of(s) == letters)
        code = code.replace(letters, f"F({value})")
    for sign, python in SIGNS.items():
        code = code.replace(sign, python)
    names = {"F": Fraction, "ceil": math.ceil, "floor": math.floor, "min": min, "max": max}
    return Fraction(eval(code, {"__builtins__": {"int": int}}, names))  # noqa: S307 - our own text


@pytest.mark.parametrize("stage", ["vision", "prefill", "decode"])
def test_html_formulas_say_what_formulas_say(stage):
    cost = symbolic_stages(symcost.load("deepseek-ocr"))[stage]
    chance = random.Random(stage)
    for metric in ("flops", "bytes_read", "bytes_written", "kv_bytes"):
        formula = sp.sympify(cost.figure(metric))
        shown = formulas.html(formula)
        for _ in range(5):
            point = {
                symbol: CATALOGUE[symbol.name].multiple_of * chance.randrange(1, 20)
                for symbol in formula.free_symbols
            }
            if n_w in point:
                point[C] = point[n_w] * point[n_h]
            assert value_of(shown, point) == evaluate(formula, point), (metric, shown)


@pytest.mark.parametrize(
    ("right", "wrong"), [("7680", "7681"), ("<i>K</i>", "<i>B</i>"), (" + 7680", "")]
)
def test_an_html_formula_that_says_something_else_is_noticed(right, wrong):
    shown, point = formulas.html(STEP.flops), {B: 3, K: 5}
    assert value_of(shown, point) == evaluate(STEP.flops, point)
    assert value_of(shown.replace(right, wrong), point) != evaluate(STEP.flops, point)


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (B / (3 * K), "<i>B</i>/(3\u202f<i>K</i>)"),
        (1 / K, "1/<i>K</i>"),
        (-B + 10**6, "-<i>B</i> + 1,000,000"),
        (S**2 / 2, "<i>S</i><sup>2</sup>/2"),
        (sp.Integer(12), "12"),
        (sp.Max(B, K - 1), "max(<i>B</i>, <i>K</i> - 1)"),
    ],
)
def test_html_formulas_read_like_mathematics(formula, shown):
    assert formulas.html(formula) == shown


def test_a_model_shows_its_stages_without_entering_one():
    model = symcost.load("deepseek-ocr", views=None)
    shown = model._repr_markdown_()
    assert model.operation_mode is None
    for stage, cost in STAGES.items():
        assert f"\n| {stage} | {len(cost.paths)} | ${formulas.latex(cost.flops)}$ |" in shown
    model.start_prefill(10, 3)
    assert "| present stage | prefill, batch 3 |" in model._repr_markdown_()
    assert model.get_forward_cost().kv_bytes == 3 * 10 * 61440


def test_parameters_are_weights_without_their_width():
    assert PAGE_MODEL.parameters * 2 == ANSWER.weight_bytes
    assert f'title="{PAGE_MODEL.parameters:,}"' in PAGE_MODEL._repr_html_()
    assert FIGURES_ONLY.parameters is None
    assert "parameters" not in FIGURES_ONLY._repr_markdown_()


@pytest.mark.parametrize(
    "name", ["numbers", "formulas", "layer", "graph", "model", "solution", "latency"]
)
def test_what_is_large_is_a_line_as_text(name):
    assert re.fullmatch(r"<[^\n]{,140}>", repr(DISPLAYED[name]))
    assert " at 0x" not in repr(DISPLAYED[name])
