"""How long symcost takes to begin: import, building formulas, the first report, all documents.

Answers of `solve` and `roofline` are also timed from the end of the imports on.

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
ANSWER = """
import contextlib, io, sys, time
from symcost.cli.main import main
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(time.perf_counter() - start)
"""
ANSWERS = {
    "solve, largest batch": ["solve", "deepseek-ocr", "--device", "A100-40GB"],
    "solve, two times": [
        *("solve", "deepseek-ocr", "--device", "A100-40GB", "ttft <= 1s", "tpot <= 20ms")
    ],
    "solve, context": [
        *("solve", "deepseek-ocr", "--for", "context_len"),
        "prefill.decoder.attention.flops >= prefill.decoder.rest.flops",
    ],
    "solve, crops": [
        *("solve", "deepseek-ocr", "--for", "crops", "vision.flops <= large:vision.flops")
    ],
    "solve, side of a view": [
        *("solve", "deepseek-ocr", "--for", "base_size"),
        "vision.sam.attention.flops >= vision.sam.rest.flops",
    ],
    "roofline, a device": ["roofline", "deepseek-ocr", "--device", "A100-40GB"],
    "roofline, all devices": ["roofline", "deepseek-ocr"],
    "roofline, kernel by kernel": [
        *("roofline", "deepseek-ocr", "--device", "A100-40GB", "--execution", "fused"),
        *("--granularity", "kernel"),
    ],
    "roofline, 8 devices": [
        *("roofline", "deepseek-ocr", "--device", "H100-SXM", "--batch", "64"),
        *("--parallel", "tensor=2,expert=4,data=4"),
    ],
}
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


def told(program: str, *arguments: str) -> float:
    """The seconds that a program measures itself."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
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
    medians["all symbolic stages"] = statistics.median(told(BUILD) for _ in range(RUNS))
    medians |= {
        f"after import: {name}": statistics.median(told(ANSWER, *asked) for _ in range(RUNS))
        for name, asked in track(ANSWERS.items(), description="answering", console=console)
    }
    table = Table("what", "seconds", "of importing sympy")
    for name, value in medians.items():
        table.add_row(name, f"{value:.3f}", f"{value / medians['import sympy']:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
