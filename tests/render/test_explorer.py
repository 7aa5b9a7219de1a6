"""The explorer as text, and the parts of it that run without a browser."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from symcost.errors import DomainError
from symcost.execution import Execution
from symcost.export.javascript_code import export_javascript
from symcost.models.deepseek_ocr.geometry import (
    MAX_TILES,
    MIN_TILES,
    STEP,
    TILE_SIZE,
    Views,
    crop_grid,
)
from symcost.models.deepseek_ocr.routing import Assumption
from symcost.render.explorer.formulas import Formulas, mathml, tree, worded
from symcost.render.explorer.halves import module_of_experts
from symcost.rounded import human
from symcost.symbols import B, I_g, S, n_h, n_w, w_a, w_w
from tests.browser.page import page_text

TEMPLATES = Path(__file__).parents[2] / "templates"
GEOMETRY = TEMPLATES / "explorer_geometry.mjs"
NUMBERS = TEMPLATES / "explorer_numbers.mjs"


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]


def test_it_refers_to_nothing_outside():
    elements = _Elements()
    elements.feed(page_text())
    references = {
        (tag, name, value)
        for tag, name, value in elements.attributes
        if name in {"src", "srcset", "href", "action", "formaction", "data", "poster", "style"}
    }
    assert references == {("link", "href", "data:,"), ("a", "href", "#")}
    assert not re.findall(r"https?://|url\(|@import|fetch\(|XMLHttpRequest|WebSocket", page_text())


def test_exported_code_stands_in_it_as_it_is():
    found = dict(
        re.findall(
            r'<script type="text/plain" data-module="(.+?)">(.*?)</script>', page_text(), re.S
        )
    )
    assert len(found) == 3 * (1 + 2 * 2 + 3)
    wanted = module_of_experts("deepseek-ocr", Execution.FUSED, Assumption.MOST)
    assert found["fused.experts.most"] == export_javascript(
        {name: _in_halves(name, formula) for name, formula in wanted.figures.items()}, wanted.about
    )


def _in_halves(name: str, formula: sp.Expr) -> sp.Expr:
    """These formulas hold no maximum, and all are of bytes."""
    assert name.rpartition("_")[2] in {"bytes", "read", "written", "moved"}
    return sp.expand(2 * formula.subs({w_w: w_w / 2, w_a: w_a / 2}))


def test_it_is_small_enough_to_mail():
    assert len(page_text().encode()) < 600_000


PAGES = [
    *((w, h) for w in range(16, 2600, 17) for h in range(16, 2600, 19)),
    # Around one tile, and proportions in the middle between two grids, where areas decide.
    *((w, h) for w in (639, 640, 641) for h in (639, 640, 641)),
    *((k * 3, k * 4) for k in range(1, 700)),
    *((k * 5, k * 4) for k in range(1, 700)),
    *((k * 7, k * 12) for k in range(1, 300)),
    *((k * 7, k * 2) for k in range(1, 300)),
]


NODE = shutil.which("node")


def _node(script: str, given: Any) -> Any:
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _grids(code: str) -> list[list[int]]:
    script = f"""{code}
    import {{ readFileSync }} from "node:fs";
    const tiles = {{ size: {TILE_SIZE}, least: {MIN_TILES}, most: {MAX_TILES} }};
    const pages = JSON.parse(readFileSync(0));
    console.log(JSON.stringify(pages.map(([w, h]) => cropGrid(w, h, tiles))));
    """
    return _node(script, PAGES)


@pytest.fixture(scope="module")
def wanted() -> list[list[int]]:
    return [list(crop_grid(w, h)) for w, h in PAGES]


needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


@needs_node
def test_pages_are_cut_into_the_same_tiles(wanted):
    assert len({tuple(grid) for grid in wanted}) == 23
    assert _grids(GEOMETRY.read_text()) == wanted


@needs_node
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("columns / rows)", "rows / columns)"),
        ("&& larger", "&& !larger"),
        ("size * size * count", "size * size"),
        ("height <= size", "height < size"),
        ("count <= most", "count < most"),
    ],
)
def test_another_rule_is_noticed(wanted, right, wrong):
    code = GEOMETRY.read_text()
    assert right in code
    assert _grids(code.replace(right, wrong)) != wanted


@needs_node
def test_pages_take_as_many_tokens():
    chance = random.Random(7)
    cases = [
        (base, tile, *chance.choice([(0, 0), (1, 2), (3, 2), (2, 3), (9, 1)]))
        for base in range(STEP, 1600, STEP)
        for tile in range(STEP, 1600, STEP)
    ]
    script = f"""{GEOMETRY.read_text()}
    import {{ readFileSync }} from "node:fs";
    const counted = ([base, tile, columns, rows]) =>
      Number(imageTokens({{ base, tile, columns, rows }}, {STEP}n));
    const cases = JSON.parse(readFileSync(0)).map((sizes) => sizes.map(BigInt));
    console.log(JSON.stringify(cases.map(counted)));
    """
    assert _node(script, cases) == [int(Views(*case).image_tokens) for case in cases]


def _numbers(call: str, cases: list[Any]) -> list[str]:
    script = f"""{NUMBERS.read_text()}
    import {{ readFileSync }} from "node:fs";
    const cases = JSON.parse(readFileSync(0));
    console.log(JSON.stringify(cases.map((one) => {call}(one))));
    """
    return _node(script, cases)


@needs_node
def test_numbers_read_as_those_of_the_program():
    chance = random.Random(7)
    cases = [int(10 ** (23 * chance.random())) for _ in range(2000)]
    cases += [10**power - less for power in range(4, 22) for less in (1, 10 ** (power - 4), 0)]
    assert _numbers("human", cases) == [human(n) for n in cases]


@needs_node
def test_numbers_that_round_up_to_the_next_power_have_four_digits():
    units = ["", " k", " M", " G", " T", " P", " E"]
    wanted = {
        10**power - less: f"{10 ** (power % 3):.{3 - power % 3}f}{units[power // 3]}"
        for power in range(3, 21)
        for less in [0, *(10**digits for digits in range(power - 4))]
    }
    assert _numbers("human", list(wanted)) == list(wanted.values())


WRITTEN = {
    "human": {999_949: "999.9 k", 999: "999", 1e21 - 2**17: "1.000e+21"},
    "digits": {
        999.96: "1,000",
        1234.4: "1,234",
        0.00123456: "0.001235",
        999_940: "999,900",
        999_960: "1.000e+6",
    },
    "duration": {
        0: "0 ns",
        0.0009994: "999.4 µs",
        0.99999: "1 s",
        4536.4: "4,536 s",
        99_980: "99,980 s",
        99_999: "1.157 days",
        25_670_000: "297.1 days",
        1.003e18: "3.178e+10 years",
    },
    "plain": {
        "08": "8",
        "1e3": "1000",
        "1E+03": "1000",
        "123456789012345678901e1": "1234567890123456789010",
        "1.5e3": "1.5e3",
        "-1e3": "-1e3",
        "1e-3": "1e-3",
        "": "",
    },
}


@needs_node
@pytest.mark.parametrize("call", WRITTEN)
def test_how_numbers_are_written(call):
    wanted = WRITTEN[call]
    assert dict(zip(wanted, _numbers(call, list(wanted)), strict=True)) == wanted


def test_sizes_in_texts_are_shown_as_formulas():
    text = re.sub(r"<[^>]*>", "", worded("short for n_w n_h where q < I_g / 64"))
    assert text == "short for nw·nh where q &lt; Ig / 64"
    assert worded("side of a tile (image_size)") == "side of a tile (image_size)"
    assert not re.search(r"short for n_w|n_w n_h", page_text())


def test_formulas_share_their_products():
    formulas = Formulas()
    first = formulas.add(3 * B * S + 5 * w_w * S)
    assert formulas.add(3 * B * S + 5 * w_w * S) == first
    assert formulas.add(3 * B * S + 5 * w_w * S, of_experts=True) != first
    trees = [product["tree"] for product in formulas.products]
    assert trees.count("S") == 1
    assert {"w_w", "w_e"} <= {name for name in trees if isinstance(name, str)}


def test_a_formula_with_two_maxima_is_refused():
    with pytest.raises(DomainError, match="one maximum"):
        Formulas().add(sp.Max(B, S) + sp.Max(B, I_g))


@pytest.mark.parametrize(
    ("formula", "shown", "data"),
    [
        (B * S**2, "B·S2", ["*", "B", ["^", "S", 2]]),
        (sp.ceiling(I_g / 224), "⌈Ig224⌉", ["ceiling", ["*", ["/", 1, 224], "I_g"]]),
        (sp.Min(1, n_h * n_w), "[nw·nh>0]", ["min", 1, ["*", "n_h", "n_w"]]),
        (sp.Min(1, sp.Abs(I_g - 1024)), "[Ig≠1,024]", ["min", 1, ["abs", ["+", -1024, "I_g"]]]),
        (sp.floor(sp.Rational(1, 2) - B / 3), "⌊12−13·B⌋", None),
    ],
)
def test_what_products_look_like(formula, shown, data):
    text = re.sub(r"<[^>]*>", "", mathml(formula, {})).replace("&gt;", ">")
    assert text == shown
    if data is not None:
        found = tree(formula, {})
        assert found[0] == data[0]
        assert sorted(map(str, found[1:])) == sorted(map(str, data[1:]))
