"""The workbook, computed by a spreadsheet engine, against exact integers."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
import subprocess
import sys
import zipfile
from fractions import Fraction

import formualizer
import pytest
import sympy as sp

from symcost.errors import InputError
from symcost.exact import Evaluator
from symcost.export.spreadsheet import export_xlsx
from symcost.symbols import CATALOGUE, B, C, I_g, K, S, T, k, w_w
from tests.export.code_support import ABOUT, exact_values, model_formulas
from tests.export.figures import LARGEST, figures, points

ENOUGH = 2**50
"""What is below it has to be exact where sizes are integers."""


class Opened:
    """A workbook in the engine: sizes go in by name, figures come out with their verdicts."""

    def __init__(self, written: bytes) -> None:
        self.book = formualizer.Workbook.from_bytes(written)
        self.places = {
            named["name"]: (named["sheet"], named["start_row"], named["start_col"])
            for named in self.book.get_named_ranges()
        }

    def compute(self, sizes):
        for name, value in sizes.items():
            if name in self.places:
                self.book.set_value(*self.places[name], value)
        self.book.evaluate_all()

    def __getitem__(self, name):
        sheet, row, column = self.places[name]
        return self.book.get_value(sheet, row, column), self.book.get_value(sheet, row, column + 1)


def disagreements(written, formulas, sizes_list):
    """Figures that are called exact and are not, or are not called so below 2^50."""
    at = list(sizes_list)
    book, found, exact = Opened(written), [], 0
    columns = exact_values(formulas, at)
    for place, sizes in enumerate(at):
        book.compute(sizes)
        for name in formulas:
            (shown, verdict), value = book[name], columns[name][place]
            exact += verdict == "exact"
            right = shown == value if verdict == "exact" else value >= ENOUGH
            if not right or verdict not in ("exact", "may be rounded"):
                found.append((name, sizes, shown, verdict, value))
    return found, exact


def test_what_is_called_exact_is_exact():
    """Figures of four stages, those that are the same formula once."""
    names = {formula: name for name, formula in model_formulas().items()}
    formulas = {name: formula for formula, name in names.items()}
    at = list(points(2510))
    found, exact = disagreements(export_xlsx(formulas, ABOUT, {}), formulas, at)
    assert not found
    assert exact > len(at) * len(formulas) / 3
    assert len(at) * len({name.partition(".")[0] for name in formulas}) > 10_000


@pytest.mark.parametrize("execution", ["fused", "ideal"])
def test_under_other_executions(execution):
    formulas = figures(execution)
    found, _ = disagreements(export_xlsx(formulas, ABOUT, {}), formulas, points(20, seed=11))
    assert not found


def test_a_changed_number_is_noticed():
    formulas = {name: figures()[name] for name in ("decode.bytes_read", "prefill.flops")}
    wrong = {name: formula + B * S * K for name, formula in formulas.items()}
    found, _ = disagreements(export_xlsx(wrong, ABOUT, {}), formulas, points(20))
    assert {name for name, *_ in found} == set(formulas)


@pytest.mark.parametrize("name", ["prefill.bytes_read", "decode.bytes_moved"])
def test_experts_come_from_a_table(name):
    formulas = {name: figures()[name]}
    sizes = [
        {"B": b, "S": 1, "K": 0, "T": 1, "I_g": 64, "I_t": 64, "n_w": 0, "n_h": 0}
        for b in range(1, 200)
    ]
    found, exact = disagreements(export_xlsx(formulas, ABOUT, {}), formulas, sizes)
    assert not found
    assert exact == len(sizes)


def test_widths_are_sizes_too():
    name = "prefill.decoder.bytes_moved"
    formula = figures("fused", symbolic_widths=True)[name]
    book = Opened(export_xlsx({name: formula}, ABOUT, {}))
    for width in (Fraction(1, 64), Fraction(33, 64), Fraction(2)):
        sizes = {"B": 3, "S": 900, "w_w": width, "w_a": Fraction(2), "w_kv": Fraction(1)}
        sizes |= {"I_g": 1024, "I_t": 640, "n_w": 2, "n_h": 1}
        book.compute({size: float(value) for size, value in sizes.items()})
        at = Evaluator({CATALOGUE[size].symbol: value for size, value in sizes.items()})
        assert book[name] == (float(at(formula)), "exact")
    book.compute({"w_w": 1 / 3})
    assert book[name][1] == "no size"


@pytest.mark.parametrize(
    ("size", "value"), [("B", 0), ("B", 1.5), ("B", "x"), ("B", LARGEST + 1), ("I_g", 100)]
)
def test_sizes_outside_their_domain_are_told(size, value):
    name = "vision.flops"
    book = Opened(export_xlsx({name: figures()[name]}, ABOUT, {}))
    book.compute({size: value})
    shown, verdict = book[name]
    assert verdict == "no size"
    assert not isinstance(shown, float)


def test_first_values_are_stored():
    formulas = figures()
    sizes = {"B": 2, "S": 924, "K": 924, "T": 5, "I_g": 1024, "I_t": 640, "n_w": 2, "n_h": 3}
    written = export_xlsx(formulas, ABOUT, {CATALOGUE[n].symbol: v for n, v in sizes.items()})
    cells = zipfile.ZipFile(io.BytesIO(written))
    stored = [
        (float(value), verdict)
        for number in range(3, 7)
        for value, verdict in re.findall(
            r'<c r="D\d+"[^>]*><f>[^<]*</f><v>([^<]*)</v></c>'
            r'<c r="E\d+"[^>]*><f>[^<]*</f><v>([^<]*)</v></c>',
            cells.read(f"xl/worksheets/sheet{number}.xml").decode(),
        )
    ]
    value_of = Evaluator({CATALOGUE[n].symbol: v for n, v in sizes.items()})
    assert stored == [(value_of(formula), "exact") for formula in formulas.values()]


def test_formulas_that_are_long_are_split():
    powers = list(itertools.product(range(1, 5), repeat=4))
    choices = [n * B * T**2 + (2000 - n) * K for n in range(1, 300)]
    formulas = {
        "prefill.flops": sp.Add(*(B**i * S**j * K**m * T**n for i, j, m, n in powers)),
        "decode.flops": sp.Max(*choices, evaluate=False),
    }
    written = export_xlsx(formulas, ABOUT, {})
    sheets = zipfile.ZipFile(io.BytesIO(written))
    cells = [
        cell
        for name in sheets.namelist()
        if "worksheets/sheet" in name
        for cell in re.findall(r"<f>(.*?)</f>", sheets.read(name).decode())
    ]
    assert max(map(len, cells)) <= 8192
    assert max(cell.count(",") for cell in cells) < 255
    sizes = [{"B": b, "S": s, "K": b * 3, "T": s} for b in (1, 7, 50) for s in (1, 9, 100)]
    found, exact = disagreements(written, formulas, sizes)
    assert not found
    assert exact == 12


@pytest.mark.parametrize(
    ("formula", "part"),
    [
        (B * sp.Rational(1, 3), "1/3"),
        ((2**60 + 1) * B, str(2**60 + 1)),
        (sp.Rational(29, 32) ** B, "29/32"),
        (sp.floor(1000 * sp.Rational(29, 32) ** sp.Min(5, K)), "29/32"),
        (sp.Abs(B * S * K * T - 5), "Abs"),
        ((S - T * B) * K, "B*T"),
    ],
)
def test_what_doubles_cannot_hold_is_refused(formula, part):
    with pytest.raises(InputError, match=r"prefill\.flops has .*export it as python") as refused:
        export_xlsx({"prefill.flops": formula}, ABOUT, {})
    assert part in str(refused.value)


def test_differences_count_against_the_limit():
    formulas = {"prefill.flops": B * S * S - 64 * K, "decode.flops": B * S - sp.Min(1, K)}
    found, exact = disagreements(export_xlsx(formulas, ABOUT, {}), formulas, points(400))
    assert not found
    assert exact > 200


def test_large_numbers_keep_their_digits():
    formulas = {"prefill.flops": (2**53 - 1) * sp.Min(1, K) + 0 * B}
    book = Opened(export_xlsx(formulas, ABOUT, {}))
    book.compute({"K": 9})
    assert book["prefill.flops"] == (2**53 - 1, "exact")
    written = export_xlsx(formulas, ABOUT, {})
    text = zipfile.ZipFile(io.BytesIO(written)).read("xl/worksheets/sheet3.xml").decode()
    assert not re.search(r"<f>[^<]*[1-9]\d{14,}[1-9]", text)


def test_names_that_spreadsheets_take_for_others():
    formulas = {"prefill.flops": C * K + k * B}
    found, _ = disagreements(
        export_xlsx(formulas, ABOUT, {}), formulas, [{"C": 2, "K": 3, "k": 4, "B": 5}]
    )
    assert len(found) == 1, "C, and k beside K, go by other names"
    book = Opened(export_xlsx(formulas, ABOUT, {}))
    book.compute({"C_": 2, "K": 3, "k_": 4, "B": 5})
    assert book["prefill.flops"] == (26, "exact")


@pytest.mark.parametrize("sizes", [{B: LARGEST + 1}, {w_w: Fraction(1, 3)}])
def test_first_sizes_are_in_the_workbooks_domain(sizes):
    with pytest.raises(InputError, match="a workbook takes"):
        export_xlsx({"prefill.flops": B * w_w}, ABOUT, sizes)


def test_the_same_figures_make_the_same_bytes():
    code = (
        "import hashlib\n"
        "from tests.export.code_support import ABOUT, model_formulas\n"
        "from symcost.export.spreadsheet import export_xlsx\n"
        "print(hashlib.sha256(export_xlsx(model_formulas(), ABOUT, {})).hexdigest())\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )
    here = hashlib.sha256(export_xlsx(model_formulas(), ABOUT, {})).hexdigest()
    assert other.stdout.strip() == here


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(InputError, match=r"symcost\[xlsx\]"):
        export_xlsx({"prefill.flops": B * I_g}, ABOUT, {})
