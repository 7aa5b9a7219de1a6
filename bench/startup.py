"""How long symcost takes to begin: import, building formulas, the first report, all documents.

Each figure is the median of several runs in fresh processes, in seconds and as a ratio to importing
sympy alone, on the machine that is described at the top.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.progress import track
from rich.table import Table

RUNS = 5
BUILD = """
import time, symcost
from symcost.models.deepseek_ocr.workload import symbolic_stages
start = time.perf_counter()
symbolic_stages(symcost.load("deepseek-ocr", widths=symcost.Widths.SYMBOLIC))
print(time.perf_counter() - start)
"""
PROGRAM = "from symcost.cli.main import main; main()"
CASES: dict[str, list[str]] = {
    "import sympy": ["-c", "import sympy"],
    "import symcost": ["-c", "import symcost"],
    "symcost report": ["-c", PROGRAM, "report", "deepseek-ocr"],
    "symcost report, three executions": [
        *("-c", PROGRAM, "report", "deepseek-ocr", "--execution", "all")
    ],
    "symcost generate --check": ["-c", PROGRAM, "generate", "deepseek-ocr", "--check"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def building() -> float:
    done = subprocess.run([sys.executable, "-c", BUILD], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    console = Console()
    console.print(
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; "
        f"median of {RUNS} runs"
    )
    medians = {
        name: statistics.median(seconds(arguments) for _ in range(RUNS))
        for name, arguments in track(CASES.items(), description="measuring", console=console)
    }
    medians["all symbolic stages"] = statistics.median(building() for _ in range(RUNS))
    table = Table("what", "seconds", "of importing sympy")
    for name, value in medians.items():
        table.add_row(name, f"{value:.3f}", f"{value / medians['import sympy']:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
