"""How long the explorer takes: to open, and to answer after a control moves.

Milliseconds in headless Chromium, the median of several moves with the least and the most.
"""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

PAGE = Path(__file__).parents[1] / "generated" / "deepseek_ocr" / "explorer.html"
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
MOVED = """([name, values]) => values.map((value) => {
  const control = document.querySelector(`[name=${name}]`);
  control.value = value;
  const start = performance.now();
  control.dispatchEvent(new Event("input", { bubbles: true }));
  document.getElementById("ttft").getBoundingClientRect();
  return performance.now() - start;
})"""
MOVES = {
    "batch": ["2", "4", "8", "16", "32", "64", "128"],
    "execution": ["fused", "ideal", "eager", "fused", "ideal"],
    "device": ["A100-40GB", "H100-SXM", "A100-40GB", "H100-SXM"],
}


def main() -> None:
    table = Table("", "ms", "least", "most")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        page = browser.new_page()
        start = time.perf_counter()
        page.goto(PAGE.as_uri())
        page.wait_for_function("document.getElementById('ttft').textContent !== ''")
        table.add_row("open", f"{1000 * (time.perf_counter() - start):.0f}", "", "")
        for name, values in MOVES.items():
            took = page.evaluate(MOVED, [name, values])
            shown = (statistics.median(took), min(took), max(took))
            table.add_row(f"move {name}", *(f"{one:.1f}" for one in shown))
        browser.close()
    Console().print(table)


if __name__ == "__main__":
    main()
