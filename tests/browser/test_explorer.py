"""The explorer in a browser: what it shows is what `symcost report` says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from symcost.rounded import human
from tests.browser.page import page_text
from tests.cli.program import run

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
METRICS = (
    "flops",
    "matrix_flops",
    "vector_flops",
    "bytes_read",
    "bytes_written",
    "weight_bytes",
    "activation_bytes",
    "kv_bytes",
    "resident_bytes",
)
MOVES = [
    [("height", "1200"), ("width", "3000")],
    [("mode", "base"), ("batch", "3")],
    [
        ("mode", "gundam"),
        ("prompt", "57"),
        ("new", "4"),
        ("cached", "100"),
        ("execution", "fused"),
        ("head", "last"),
    ],
    [
        ("execution", "ideal"),
        ("experts", "most"),
        ("weights", "1"),
        ("expert", "1/2"),
        ("activations", "4"),
        ("kv", "1/2"),
    ],
    [
        ("mode", "views"),
        ("base", "1280"),
        ("columns", "3"),
        ("rows", "2"),
        ("tile", "512"),
        ("execution", "eager"),
        ("experts", "least"),
    ],
    [("mode", "none"), ("head", "all")],
]
"""Controls that are moved one after the other, each from where the last one left the page."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _written(tmp_path_factory.mktemp("explorer"), page_text())


def _written(folder: Path, text: str) -> str:
    file = folder / "explorer.html"
    file.write_text(text, encoding="utf-8")
    return file.as_uri()


class _Opened:
    """A page, what it asked for and what it complained of."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.page: Page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.ready()

    def go(self, hash_: str) -> None:
        """What a user does who changes the address."""
        self.page.evaluate("hash => { location.hash = hash; }", f"#{hash_}&")
        self.page.wait_for_function("hash => location.hash === hash", arg=f"#{hash_}")

    def ready(self) -> None:
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def move(self, name: str, value: str) -> None:
        """What a user does at a control."""
        control = self.page.locator(f"[name={name}]")
        if control.evaluate("node => node.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(value)

    @property
    def figures(self) -> dict[str, Fraction]:
        """The numbers of the table, by place and metric."""
        cells = self.page.evaluate(
            "[...document.querySelectorAll('#stages td[data-metric]')]"
            ".map(cell => [`${cell.dataset.place}.${cell.dataset.metric}`, cell.textContent])"
        )
        return {name: Fraction(text.replace(",", "")) for name, text in cells}

    @property
    def command(self) -> list[str]:
        return shlex.split(self.page.inner_text("#command"))


@pytest.fixture(scope="module")
def shared(browser: Browser, address: str) -> _Opened:
    return _Opened(browser, address)


@pytest.fixture
def opened(shared: _Opened) -> Iterator[_Opened]:
    """The page as it is with exact integers, whatever a test before did to it."""
    shared.page.set_viewport_size({"width": 1280, "height": 720})
    shared.page.emulate_media(media="screen", color_scheme="light")
    shared.go("exact=1")
    yield shared
    assert shared.complaints == []


@cache
def _report(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _reported(command: list[str], *devices: str) -> dict[str, Any]:
    """What the program says that the page names, on other devices or none, which saves time."""
    assert command[0] == "symcost"
    assert command[-2] == "--device"
    return _report(*command[1:-2], *(f"--device={name}" for name in devices))


def _exact(report: dict[str, Any]) -> dict[str, Fraction]:
    """All figures of a report as the page names them."""

    def of(place: str, cost: dict[str, Any]) -> Iterator[tuple[str, Fraction]]:
        for metric in METRICS:
            yield f"{place}.{metric}", Fraction(cost[metric])
        for part, share in cost.get("parts", {}).items():
            if place != "prefill.vision":
                yield from of(f"{place}.{part}", share)

    places = {**report["stages"], "generation": report["generation"]}
    return {
        name: number for place, cost in places.items() for name, number in of(place, dict(cost))
    }


def test_it_opens_from_disk_without_complaints_and_asks_for_nothing(opened):
    assert [url for url in opened.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    assert opened.page.inner_text("#ttft")


def test_every_control_changes_the_numbers_to_those_of_the_program(opened):
    before = opened.figures
    assert before == _exact(_reported(opened.command))
    for moves in MOVES:
        for name, value in moves:
            opened.move(name, value)
            now = opened.figures
            assert now != before, (name, value)
            before = now
        assert now == _exact(_reported(opened.command)), moves


def test_half_bytes_are_shown_exactly(opened):
    for name, value in (("mode", "none"), ("batch", "15"), ("expert", "1/2")):
        opened.move(name, value)
    figures = opened.figures
    assert any(number.denominator == 2 for number in figures.values())
    assert figures == _exact(_reported(opened.command))


def test_numbers_read_as_those_of_the_program(opened):
    opened.move("batch", "24")
    exact = opened.figures
    opened.page.uncheck("[name=exact]")
    for name, number in exact.items():
        place, _, metric = name.rpartition(".")
        cell = f'#stages td[data-place="{place}"][data-metric="{metric}"]'
        unit = "" if metric.endswith("flops") else "B"
        assert opened.page.text_content(cell) == human(int(number), unit), name


def test_times_are_those_of_the_program(opened):
    for name, value in (("new", "100"), ("execution", "ideal"), ("device", "A100-40GB")):
        opened.move(name, value)
    devices = opened.command[-1], "TPU-v5e"
    for found in _reported(opened.command, *devices)["roofline"]:
        opened.move("device", found["device"])
        asked, page = found["asked"], opened.page
        assert page.inner_text("#ttft") == _duration(asked["ttft"]["seconds"])
        assert page.inner_text("#tpot") == _duration(asked["tpot"]["seconds"])
        whole = page.inner_text('#stages td[data-place="generation"][data-of="time"]')
        assert whole == _duration(asked["request_seconds"])
        rate = float(Fraction(asked["requests_per_second"]))
        assert page.inner_text("#rate") == f"{float(f'{rate:.4g}'):g} /s"
        for place, line in asked["lines"].items():
            if place.count(".") > 1:
                continue
            row = {
                of: page.inner_text(f'#stages td[data-place="{place}"][data-of="{of}"]')
                for of in ("time", "bound", "intensity")
            }
            assert row["time"] == _duration(line["seconds"]), place
            assert row["bound"] == line["bound"], place
            intensity = float(Fraction(line["intensity"]))
            assert float(row["intensity"].replace(",", "")) == float(f"{intensity:.4g}"), place


def _duration(seconds: str | int) -> str:
    value = Fraction(seconds)
    factor, unit = next(
        (f, u) for f, u in ((1, "s"), (10**3, "ms"), (10**6, "µs"), (10**9, "ns")) if value * f >= 1
    )
    return f"{float(f'{float(value * factor):.4g}'):g} {unit}"


def test_terms_of_every_formula_add_up_to_the_exported_figure(opened):
    every = """() => {
      const [place, metric] = ["place", "metric"].map((name) => document.forms[0][name]);
      const wrong = [];
      let count = 0;
      for (const { value: p } of place.options) {
        for (const { value: m } of metric.options) {
          [place.value, metric.value] = [p, m];
          place.dispatchEvent(new Event("input", { bubbles: true }));
          count += 1;
          const { adds, total } = document.getElementById("formula").dataset;
          const cell = document.querySelector(`#stages td[data-place="${p}"][data-metric="${m}"]`);
          const [above, below] = total.split("/").map(BigInt);
          const shown = cell.textContent.replaceAll(",", "").split(".");
          const halves = 2n * BigInt(shown[0]) + (shown[1] ? 1n : 0n);
          if (adds !== "true" || halves * below !== 2n * above) wrong.push(`${p}.${m}`);
        }
      }
      return [count, wrong];
    }"""
    for name, value in (("batch", "2"), ("expert", "1/2"), ("new", "7")):
        opened.move(name, value)
    assert opened.page.evaluate(every) == [12 * len(METRICS), []]


def test_a_wrong_coefficient_is_noticed(browser, tmp_path):
    text = page_text()
    prefill = text.index('data-module="eager.all.image"')
    stated = re.compile(r"\b(\d+)n \* B_S\b").search(text, text.index("const bytes_read", prefill))
    wrong = f"{text[: stated.start(1)]}{int(stated[1]) + 1}{text[stated.end(1) :]}"
    broken = _Opened(browser, f"{_written(tmp_path, wrong)}#exact=1&metric=bytes_read")
    assert broken.figures != _exact(_reported(broken.command))
    assert broken.page.get_attribute("#formula", "data-adds") == "false"
    assert "broken" in broken.page.inner_text("#formula")
    broken.page.context.close()


def test_what_is_asked_survives_a_reload_and_is_reset(opened):
    for name, value in (("mode", "views"), ("columns", "3"), ("kv", "1/2"), ("metric", "kv_bytes")):
        opened.move(name, value)
    before, command = opened.figures, opened.command
    opened.page.reload()
    opened.ready()
    assert (opened.figures, opened.command) == (before, command)
    assert opened.page.input_value("[name=metric]") == "kv_bytes"
    opened.page.click("#reset")
    assert opened.command == ["symcost", "report", "deepseek-ocr", "--device", "H100-SXM"]
    assert "#" not in opened.page.url


def test_an_address_that_no_control_can_hold_is_told(opened):
    opened.page.evaluate("location.hash = '#mode=huge&colour=red'")
    opened.page.wait_for_selector("#problem")
    problem = opened.page.inner_text("#problem")
    assert "huge" in problem
    assert "colour" in problem


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("toString=1", "holds “toString”, which is unknown"),
        ("__proto__=1", "holds “__proto__”, which is unknown"),
        ("exact=yes", "Exact is “yes” in the address; it is left at its default"),
        ("batch=abc", "Batch is “abc” in the address; it is left at its default"),
        ("batch=1e999", "Batch is “1e999” in the address; it is left at its default"),
        ("batch=1&batch=9", "The address gives batch 2 times; the first counts"),
    ],
)
def test_an_odd_address_is_told(opened, asked, told):
    opened.page.evaluate("hash => { location.hash = hash; }", asked)
    opened.page.wait_for_selector("#problem")
    assert told in opened.page.inner_text("#problem")
    assert opened.command == ["symcost", "report", "deepseek-ocr", "--device", "H100-SXM"]
    assert "#" not in opened.page.url


@pytest.mark.parametrize(("written", "read"), [("08", "8"), ("1e3", "1000"), ("2E02", "200")])
def test_integers_are_read_however_they_are_written(opened, written, read):
    opened.page.evaluate("hash => { location.hash = hash; }", f"batch={written}")
    opened.page.wait_for_function("hash => location.hash === hash", arg=f"#batch={read}")
    assert opened.page.input_value("[name=batch]") == read
    opened.move("prompt", written)
    assert opened.command[3:7] == ["--batch", read, "--prompt-tokens", read]
    opened.page.check("[name=exact]")
    assert opened.figures == _exact(_reported(opened.command))


@pytest.mark.parametrize(
    ("moves", "at", "told"),
    [
        ([("batch", "0")], "batch", "The batch is 0; allowed: an integer from 1 to"),
        ([("batch", "")], "batch", "The batch is empty; allowed: an integer from 1 to"),
        ([("prompt", "1.5")], "prompt", "is 1.5; allowed: an integer from 0 to"),
        ([("cached", "-1")], "cached", "is -1; allowed: an integer from 0 to"),
        ([("mode", "views"), ("base", "100")], "base", "is 100; allowed: a multiple of 64"),
        (
            [("mode", "views"), ("columns", "4"), ("rows", "3")],
            "rows",
            "4 × 3 are 12 tiles; allowed: up to 9",
        ),
    ],
)
def test_bad_input_is_told_at_its_control_and_no_number_stays(opened, moves, at, told):
    for name, value in moves:
        opened.move(name, value)
    page = opened.page
    assert told in page.inner_text("#problem")
    control = page.locator(f"[name={at}]")
    assert control.get_attribute("aria-invalid") == "true"
    error = page.inner_text(f"#{control.get_attribute('aria-describedby')}")
    assert told.split("allowed")[0].lower() in error.lower()
    left = page.locator("#answers dl, #results table tbody, #picture, #formula, #command")
    shown = " ".join(left.all_text_contents())
    assert not re.search(r"\d", shown)
    opened.move(at, "1" if at != "base" else "1024")
    assert control.get_attribute("aria-invalid") is None
    assert opened.figures == _exact(_reported(opened.command))


def test_the_keyboard_reaches_and_moves_everything(opened):
    page = opened.page
    page.reload()
    opened.ready()
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate("document.activeElement.name || document.activeElement.id || 'else'")
        if at == "else" and reached:
            break
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert at == "else" or outline != "none", at
        reached.append(at)
        if at == "batch":
            page.keyboard.press("ArrowUp")
        if at == "execution":
            page.keyboard.press("ArrowDown")
    named = page.evaluate(
        "[...document.querySelectorAll('[name]')].filter(n => n.labels)"
        ".filter(n => n.checkVisibility()).map(n => n.name)"
    )
    assert set(named) | {"reset", "command", "copy"} <= set(reached)
    assert opened.command[3:7] == ["--batch", "2", "--execution", "fused"]
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select')].filter(n => !n.labels.length).length"
    )
    assert unnamed == 0


def test_a_phone_needs_no_sideways_scrolling(browser, address):
    width = 360
    phone = _Opened(
        browser,
        f"{address}#exact=1&place=generation&metric=bytes_read",
        viewport={"width": width, "height": 800},
        has_touch=True,
    )
    assert not phone.page.is_visible("[name=batch]")
    phone.page.click("summary")
    assert phone.page.is_visible("[name=batch]")
    assert phone.page.evaluate("document.documentElement.scrollWidth") == width
    phone.page.context.close()


LARGEST = "batch=1000000000&prompt=1000000000&new=1000000000"


@pytest.mark.parametrize("width", [360, 1300])
def test_the_largest_sizes_stay_on_the_page(opened, width):
    page = opened.page
    page.set_viewport_size({"width": width, "height": 800})
    opened.go(f"{LARGEST}&exact=1&metric=resident_bytes")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    values = page.locator(".terms td:last-child")
    assert not any(values.evaluate_all("all => all.map(n => n.scrollWidth > n.clientWidth)"))
    times = page.locator("#ttft, #tpot, #rate, #stages [data-of=time]").all_text_contents()
    assert max(map(len, times)) < 20, times
    page.evaluate("document.getElementById('controls').open = true")
    opened.move("batch", "1e99")
    assert "The batch is 1,000," in page.inner_text("#problem")
    assert page.evaluate("document.documentElement.scrollWidth") == width


CROWDED = """() => {
  const edge = document.getElementById("picture").getBoundingClientRect();
  const texts = [...document.querySelectorAll("#picture text")];
  const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
  const out = boxes.filter(([, a]) =>
    a.left < edge.left || a.right > edge.right || a.top < edge.top || a.bottom > edge.bottom);
  const over = boxes.flatMap(([one, a], at) => boxes.slice(at + 1)
    .filter(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
    .map(([other]) => `${one} x ${other}`));
  const named = boxes.filter(([text]) => text.includes(":")).map(([text]) => text.split(":")[0]);
  return [...out, ...over, ...named.filter((name, at) => named.indexOf(name) !== at)];
}"""
"""Texts of the roofline that leave it or meet another, and names that stand twice."""


@pytest.mark.parametrize("width", [360, 1300])
def test_texts_of_the_roofline_are_apart(opened, width):
    page = opened.page
    page.set_viewport_size({"width": width, "height": 800})
    found = page.evaluate(
        """(crowded) => {
          const look = eval(crowded);
          const found = [];
          const asked = [["gundam", 1, 1, 20], ["gundam", 64, 4096, 4000], ["none", 1, 1, 1],
            ["tiny", 256, 10, 0], ["large", 1e9, 1e9, 1e9]];
          [...document.forms[0].device.options].forEach(({ value: device }, at) => {
            for (const turn of [0, 1]) {
              const execution = ["eager", "fused", "ideal"][(at + turn) % 3];
              const [mode, batch, steps, prompt] = asked[(2 * at + turn) % 5];
              const wanted = { device, execution, mode, batch, new: steps, prompt };
              for (const [name, value] of Object.entries(wanted)) {
                document.forms[0].elements.namedItem(name).value = String(value);
              }
              document.forms[0].batch.dispatchEvent(new Event("input", { bubbles: true }));
              const wrong = look();
              if (wrong.length) found.push([wanted, wrong]);
            }
          });
          return found;
        }""",
        CROWDED,
    )
    assert found == []
    labels = page.locator("#picture text").all_text_contents()
    assert {"prefill / decoder", "decode / decoder"} <= {text.split(":")[0] for text in labels}
    page.evaluate("document.querySelector('#picture text:last-child').setAttribute('x', -1)")
    assert page.evaluate(CROWDED)


def test_print_shows_whole_figures_and_no_controls(opened):
    page = opened.page
    paper = 1032  # A4, landscape, within its margins
    page.set_viewport_size({"width": paper, "height": 700})
    beyond = """() => [...document.querySelectorAll("#stages td, .terms td, #picture, #formula")]
      .filter((node) => node.getBoundingClientRect().right > innerWidth).length"""
    for address in ("exact=1", f"{LARGEST}&exact=1"):
        opened.go(address)
        assert page.evaluate(beyond)
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate(beyond) == 0
        page.emulate_media(media="screen", color_scheme="light")
    page.emulate_media(media="print", color_scheme="dark")
    shown = "[...document.querySelectorAll('[name], button')].filter(n => n.checkVisibility())"
    assert page.evaluate(f"{shown}.map(n => n.name || n.id)") == []
    style = "([of, name]) => getComputedStyle(document.querySelector(of))[name]"
    assert page.evaluate(style, ["#roof-title", "breakAfter"]) == "avoid"
    assert page.evaluate(style, [":has(> #roof)", "breakInside"]) == "avoid"
    assert page.evaluate(style, ["body", "backgroundColor"]) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(opened, scheme):
    page = opened.page
    page.emulate_media(color_scheme=scheme)
    page.fill("[name=batch]", "0")
    seen = page.evaluate(
        """() => {
          const paper = getComputedStyle(document.body).backgroundColor;
          const places = ["body", ".quiet", "dt", "label", "a", ".error", "code", "select"];
          return places.map((of) => {
            const { color, backgroundColor } = getComputedStyle(document.querySelector(of));
            return [of, color, backgroundColor === "rgba(0, 0, 0, 0)" ? paper : backgroundColor];
          });
        }"""
    )
    assert (_light(seen[0][2]) > 0.5) is (scheme == "light")
    for of, *colours in seen:
        low, high = sorted(map(_light, colours))
        assert (high + 0.05) / (low + 0.05) >= 4.5, of


def _light(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    shares = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(w * s for w, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
