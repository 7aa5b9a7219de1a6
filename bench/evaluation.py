"""How fast compiled formulas are: one point, grids, scattered points, and beside them other tools.

What is compared takes turns in one process, and the medians' ratios are told. `--write` makes the
document of it. To be run on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp
from gpu import part_of, with_part, written_in
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from measuring import (
    Section,
    Target,
    duration,
    machine,
    medians,
    no_less,
    no_more,
    once,
    repeated,
)
from numpy.typing import NDArray
from peers import PEERS, made, points, quiet
from rich.console import Console
from rich.table import Table

import symcost
from symcost.cost import METRICS
from symcost.exact import Evaluator, as_rational
from symcost.figures import compile_costs
from symcost.files import require_writable, write_all
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.numeric.compiled import Compiled
from symcost.symbols import CATALOGUE

ROUNDS = 5
FEW_ROUNDS = 3
"""For what takes seconds: naive evaluation of many points, fresh processes."""
POINT = {"B": 8, "S": 1600, "K": 1600, "I_g": 1024, "I_t": 640, "n_w": 2, "n_h": 3}
"""A batch of pages of A4 in Gundam mode."""
NUMBERS = {"int64": None, "float64": "float64"}
"""The numbers that are computed in, and how they are asked for."""
FILLS = {
    ("fresh", "float64"): 0.30,
    ("touched", "float64"): 0.30,
    ("fresh", "int64"): 0.20,
    ("touched", "int64"): 0.20,
}
"""What is asked of a grid, by the memory that is filled and the numbers."""


# What is measured.


@cache
def stages() -> dict[str, Any]:
    return {
        str(stage): cost for stage, cost in symbolic_stages(symcost.load("deepseek-ocr")).items()
    }


def formula(figure: str) -> sp.Expr:
    stage, metric = figure.split(".")
    return as_rational(stages()[stage].figure(metric))


@cache
def compiled(figure: str, dtype: str | None = None) -> Compiled:
    stage, metric = figure.split(".")
    found: Compiled = stages()[stage].compile(metric, dtype=dtype)
    return found


def naive(figure: str, numbers: str) -> Any:
    """The formula as sympy's lambdify makes a function of it, with sizes in the same order."""
    symbols = [CATALOGUE[name].symbol for name in compiled(figure).names]
    return sp.lambdify(symbols, formula(figure), numbers)


def of(figure: str, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that a figure depends on."""
    return {name: sizes[name] for name in compiled(figure).names}


def exact(figure: str, sizes: Mapping[str, int]) -> Any:
    """The figure by exact evaluation of the formula, without any compiling."""
    return Evaluator({CATALOGUE[n].symbol: v for n, v in sizes.items()})(formula(figure))


def require_right(figure: str, number: str, sizes: Mapping[str, Any]) -> NDArray[Any]:
    """Refuse to time what is wrong: some of the points are compared with exact evaluation."""
    function = compiled(figure, NUMBERS[number])
    found: NDArray[Any] = function(**sizes)
    error = 0 if number == "int64" else Fraction(function.relative_error(**sizes))
    spread = np.broadcast_arrays(*sizes.values())
    for flat in np.random.default_rng(0).integers(0, found.size, 5):
        at = {name: int(size.flat[flat]) for name, size in zip(sizes, spread, strict=True)}
        right, said = exact(figure, at), Fraction(found.flat[flat].item())
        if found.dtype != number or abs(said - right) > error * right:
            raise SystemExit(f"{figure} is wrong at {at}: {said}, not {right}")
    return found


def call(sizes: Mapping[str, int]) -> str:
    """A call at a point, as a user writes it."""
    return f"figures({', '.join(f'{name}={value}' for name, value in sizes.items())})"


def placed(sizes: Mapping[str, int]) -> str:
    """The same by position."""
    return f"figures({', '.join(map(str, sizes.values()))})"


# The sections.


def one_point(_: int) -> Section:
    names = ("flops", "bytes_read", "activation_bytes", "resident_bytes")
    figures = [f"{stage}.{metric}" for stage in stages() for metric in names]
    everything = compile_costs(stages())
    samples = {"all": repeated(call(POINT), figures=everything)}
    for figure in figures:
        sizes = of(figure, POINT)
        if compiled(figure)(**sizes) != exact(figure, sizes):
            raise SystemExit(f"{figure} is wrong at {sizes}")
        samples[figure] = repeated(placed(sizes), figures=compiled(figure))
        samples[f"named {figure}"] = repeated(call(sizes), figures=compiled(figure))
        values = list(sizes.values())
        samples[f"naive {figure}"] = repeated(
            "figures(*values)", figures=naive(figure, "math"), values=values
        )
    found = medians(samples, ROUNDS)
    whole = found.pop("all")
    ours = {figure: found[figure] * 1e6 for figure in figures}
    rows = [
        (
            figure,
            duration(found[figure]),
            duration(found[f"named {figure}"]),
            f"{found[f'naive {figure}'] / found[figure]:.1f}",
        )
        for figure in sorted(figures, key=lambda key: ours[key])
    ]
    together = f"all {len(METRICS)} metrics of all stages"
    rows.append((together, "–", duration(whole), "–"))
    return Section(
        "One point",
        "A call with integers at a batch of 8 pages, by position and by name; the function is "
        "`cost.compile(metric)`, and `compile_costs(stages)` for all together. Every result is "
        "exact. Beside it: "
        "`sympy.lambdify(…, 'math')` of the same formula, which rounds to floats.",
        ("figure", "by position", "by name", "naive lambdify takes so many times longer"),
        rows,
        [
            no_more("one metric at a point", 1, ours, "µs"),
            no_more("all metrics of all stages at a point", 10, {together: whole * 1e6}, "µs"),
        ],
    )


def axes(**sizes: Any) -> dict[str, NDArray[np.int64]]:
    """Open axes of a grid, in order."""
    return dict(zip(sizes, np.ix_(*(np.asarray(s, np.int64) for s in sizes.values())), strict=True))


def sides(count: int, least: int = 64) -> NDArray[np.int64]:
    return np.arange(least, least + 64 * count, 64)


def grids(count: int) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Grids of about so many points, and what is asked of them."""
    fixed = {name: np.int64(POINT[name]) for name in ("I_t", "n_w", "n_h")}
    width = round(count ** (1 / 5))
    batch = np.arange(1, max(2, 2 * width) + 1)
    side = sides(max(2, 2 * width))
    long = np.arange(200, 200 + count // (len(batch) * len(side)))
    short = np.arange(1, 1 + count // (len(batch) * len(side)))
    steps = round(count**0.5 / 3)
    tiles = np.arange(1, 10)
    pages = max(2, round((count / len(tiles) ** 2) ** (1 / 3)))
    prefill = ["prefill.flops", "prefill.bytes_read", "prefill.resident_bytes"]
    return {
        "batch × context × page side, prompts of 200 tokens and more": (
            {**axes(B=batch, S=long, I_g=side), **fixed},
            prefill,
        ),
        "batch × page side × context, prompts of 200 tokens and more": (
            {**axes(B=batch, I_g=side, S=long), **fixed},
            prefill,
        ),
        "batch × page side × context, prompts from 1 token on": (
            {**axes(B=batch, I_g=side, S=short), **fixed},
            prefill,
        ),
        "batch × cached": (
            axes(B=np.arange(1, steps + 1), K=np.arange(count // steps)),
            ["decode.flops", "decode.bytes_read", "decode.resident_bytes"],
        ),
        "batch × page side × tile side × crop grid": (
            axes(
                B=np.arange(1, pages + 1), I_g=sides(pages), I_t=sides(pages), n_w=tiles, n_h=tiles
            ),
            ["vision.flops", "vision.bytes_read", "vision.resident_bytes"],
        ),
    }


def dense(count: int) -> Section:
    rows = []
    reached: dict[tuple[str, str], dict[str, float]] = {limit: {} for limit in FILLS}
    for grid, (sizes, figures) in grids(count).items():
        shape = np.broadcast_shapes(*(size.shape for size in sizes.values()))
        cases = [(figure, number) for number in NUMBERS for figure in figures]
        samples = {}
        for number in NUMBERS:
            touched = np.full(shape, 1, number)
            samples[f"fresh {number}"] = once(partial(np.full, shape, 7, number))
            samples[f"touched {number}"] = once(partial(touched.fill, 7))
        for figure, number in cases:
            function, used = compiled(figure, NUMBERS[number]), of(figure, sizes)
            require_right(figure, number, used)
            samples[f"{figure} {number}"] = once(partial(function, **used))
        found = medians(samples, ROUNDS)
        for figure, number in cases:
            seconds = found[f"{figure} {number}"]
            ratios = []
            for kind in ("fresh", "touched"):
                ratio = found[f"{kind} {number}"] / seconds
                reached[kind, number][f"{figure}, {grid}"] = ratio
                ratios.append(f"{ratio:.2f}")
            rate = f"{math.prod(shape) / seconds / 1e6:.0f}"
            rows.append((grid, figure, number, rate, *ratios))
    return Section(
        "Dense grids",
        f"Grids of about {count:.0e} points; axes are arrays that broadcast. The memory limit is "
        "the filling of an array of that size with one number: a fresh one (`np.full`), as our "
        "results are, whose memory the system hands out while it is written; and one that has been "
        "touched before (`ndarray.fill`), which is faster and out of reach of what returns a new "
        "array. The order of the axes matters: rows of the last ones are computed together. In "
        "prompts from 1 token on, few tokens choose few experts; their number depends on batch × "
        "context, which is no product of two axes, so that part goes point by point.",
        (
            "grid",
            "figure",
            "numbers",
            "million points/s",
            "of the rate of filling fresh memory",
            "of the rate of filling touched memory",
        ),
        rows,
        [
            no_less(f"dense grid, {number}, of filling {kind} memory", least, reached[kind, number])
            for (kind, number), least in FILLS.items()
        ],
    )


def drawn(count: int) -> dict[str, NDArray[np.int64]]:
    """Scattered points: sizes drawn one by one."""
    draw = np.random.default_rng(0).integers
    return {
        "B": draw(1, 513, count),
        "S": draw(1, 131073, count),
        "K": draw(0, 131073, count),
        "I_g": 64 * draw(1, 33, count),
        "I_t": 64 * draw(1, 33, count),
        "n_w": draw(1, 10, count),
        "n_h": draw(1, 10, count),
    }


def scattered(count: int) -> Section:
    table = drawn(count)
    rows, rates, times = [], {}, {}
    figures = ["vision.flops", "prefill.flops", "prefill.bytes_read"]
    figures += ["decode.flops", "decode.bytes_read"]
    for figure in figures:
        used = of(figure, table)
        result = require_right(figure, "int64", used)
        for number, dtype in NUMBERS.items():
            ours, other = compiled(figure, dtype), naive(figure, "numpy")
            require_right(figure, number, used)
            values = [size.astype(number) for size in used.values()]
            theirs = other(*values)
            wrong = int(np.count_nonzero(theirs.astype(np.int64) != result))
            found = medians(
                {
                    "ours": once(partial(ours, **used)),
                    "naive": once(partial(other, *values)),
                },
                FEW_ROUNDS,
            )
            name = f"{figure}, {number}"
            rates[name] = count / found["ours"] / 1e6
            times[name] = found["naive"] / found["ours"]
            told = f"{theirs.dtype}, {wrong / count:.1%} of the points wrong"
            rows.append((figure, number, f"{rates[name]:.0f}", f"{times[name]:.1f}", told))
    return Section(
        "Scattered points",
        f"Points: {count:.0e}, each size drawn by itself (batch to 512, context to 131072, sides "
        "to 2048, crop grids to 9 × 9). One core is used. The naive baseline is "
        "`sympy.lambdify(…, 'numpy')` on the same arrays in the same numbers; the last column "
        "tells what it returns and how many of its values differ from the exact ones. Our int64 is "
        "exact; the compiled function shows from the ranges that nothing overflows.",
        (
            "figure",
            "numbers",
            "million points/s",
            "naive takes so many times longer",
            "naive gives",
        ),
        rows,
        [
            no_less("scattered points, a core", 30, rates, "million points/s"),
            no_less("scattered points, times naive lambdify", 10, times),
        ],
    )


def wrong_without_notice(_: int) -> Section:
    """What plain lambdify says on int64 where numbers are large."""
    cases = [
        ("prefill.bytes_read", POINT | {"B": 431, "S": 118110, "I_g": 320, "n_w": 1, "n_h": 8}),
        ("prefill.flops", POINT | {"B": 511, "S": 131071, "I_g": 1088}),
        ("prefill.flops", POINT | {"B": 4096, "S": 1 << 20}),
    ]
    rows = []
    for figure, point in cases:
        sizes = of(figure, point)
        said = naive(figure, "numpy")(*(np.array([size]) for size in sizes.values()))[0]
        ours = compiled(figure)(**sizes)
        if ours != exact(figure, sizes):
            raise SystemExit(f"{figure} is wrong at {sizes}")
        where = ", ".join(f"{name}={value}" for name, value in sizes.items())
        rows.append((figure, where, str(ours), str(int(said)), f"{int(said) - ours:+.3g}"))
    return Section(
        "Why not lambdify",
        "What the naive baseline returns on int64 arrays, without a warning: what overflows wraps "
        "around, and where a ceiling is taken everything turns to float64 and is rounded.",
        ("figure", "point", "exact, and ours", "lambdify", "difference"),
        rows,
    )


BUILD = """
import json, time
told, start = {}, time.perf_counter()
def tell(what):
    global start
    told[what] = time.perf_counter() - start
    start = time.perf_counter()
import sympy
tell("import sympy")
import symcost
from symcost.models.deepseek_ocr.workload import symbolic_stages
tell("import symcost")
import numpy as np
from symcost.figures import compile_costs
import symcost.numeric.compiled
tell("load numba")
def build():
    return symbolic_stages(symcost.load("deepseek-ocr"))
def compile(stages, turn):
    figures = compile_costs(stages)
    tell("normal forms" + turn)
    figures(**point)
    tell("machine code, one point" + turn)
    figures(**{name: np.full(20_000, size) for name, size in point.items()})
    tell("machine code, arrays" + turn)
    figures(**point | {"B": np.arange(1, 129)[:, None], "S": np.arange(1600, 1800)})
    tell("matrix products, a grid" + turn)
stages = build()
tell("build all stages")
compile(stages, "")
sympy.core.cache.clear_cache()
stages = build()
tell("build all stages, again")
compile(stages, ", again")
print(json.dumps(told))
"""
COMPILING = (
    "normal forms",
    "machine code, one point",
    "machine code, arrays",
    "matrix products, a grid",
)


def fresh_process(program: str) -> dict[str, float]:
    """What a program tells that has a process of its own."""
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def started() -> dict[str, float]:
    """The seconds of each step from the beginning of a process."""
    told = fresh_process(f"point = {POINT}\n{BUILD}")
    for turn in ("", ", again"):
        told[f"compile everything for points{turn}"] = sum(
            told[f"{step}{turn}"] for step in COMPILING[:2]
        )
        told[f"compile everything for arrays{turn}"] = sum(
            told[f"{step}{turn}"] for step in COMPILING[2:]
        )
    steps = ["import sympy", "import symcost", "load numba", "build all stages", *COMPILING[:2]]
    told["to the first result"] = sum(told[step] for step in steps)
    return told


def starting(_: int) -> Section:
    runs = [started() for _ in range(FEW_ROUNDS)]
    found = {step: statistics.median(run[step] for run in runs) for step in runs[0]}
    least = found["import sympy"]
    rows = [(step, duration(time), f"{time / least:.2f}") for step, time in found.items()]
    return Section(
        "Building and compiling",
        "All metrics of all stages, in fresh processes. “Again” is the same in a process that has "
        "compiled before, with sympy's cache cleared and the formulas built anew. “Compile "
        "everything for points” is the sum of normal forms and of the machine code for one point, "
        "“for arrays” what the first calls with scattered points and with a grid add to it.",
        ("step", "time", "of importing sympy"),
        rows,
        [
            no_more(name, 1, {name: found[name]}, "s")
            for name in found
            if name.startswith("compile everything")
        ],
    )


SWEEP = """
import json, statistics, time
from symcost.sweeps.plan import Plan
from symcost.sweeps.sweeping import run
metrics = ["prefill.flops", "prefill.bytes_read"]
reduce = ["min:prefill.flops", "top:prefill.bytes_read:10"]
def plan(batches):
    axes = {
        "batch": range(1, batches + 1),
        "base_size": range(512, 1281, 64),
        "context_len": range(2000, 2000 + 214 * batches),
    }
    return Plan("deepseek-ocr", axes, metrics, crop_grid="2x3")
def seconds(plan):
    start = time.perf_counter()
    run(plan, reduce=reduce)
    return time.perf_counter() - start
def memory():
    # Not getrusage: what it tells includes the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
batches = round((count / 13 / 214) ** 0.5)
small, large = plan(batches), plan(10 * batches)
seconds(small)
told = {"before": memory(), "small": small.points.size, "large": large.points.size}
times = [seconds(small) for _ in range(rounds)]
told["large seconds"] = seconds(large)
told["small seconds"] = statistics.median([*times, *(seconds(small) for _ in range(rounds))])
print(json.dumps(told | {"after": memory()}))
"""


def sweeps(count: int) -> Section:
    told = fresh_process(f"count, rounds = {count}, {FEW_ROUNDS}\n{SWEEP}")
    rates = {size: told[size] / told[f"{size} seconds"] for size in ("small", "large")}
    rows = [
        (f"{told[size]:.3g}", f"{rates[size] / 1e6:.0f}", duration(told[f"{size} seconds"]), peak)
        for size, peak in (("small", f"{told['before']:.0f}"), ("large", f"{told['after']:.0f}"))
    ]
    name = f"a sweep of {told['large']:.0e} points"
    return Section(
        "Sweeps",
        "A sweep over batch × page side × context in a process of its own, on all cores: FLOPs and "
        "bytes read of a prefill, exact, reduced to the least of the one and the ten largest of "
        "the other, without keeping the points. Memory is the most that the process ever had "
        "resident, Python and all libraries included. The large sweep has ten times the batches "
        "and ten times the contexts.",
        ("points", "million points/s", "time", "MiB resident"),
        rows,
        [
            no_more("memory of a sweep", 1024, {name: told["after"]}, "MiB"),
            no_less(
                "rate of a sweep, of the small one's", 0.8, {name: rates["large"] / rates["small"]}
            ),
        ],
    )


def beside_peers(_: int) -> Section:
    with quiet():
        working = {peer: made(peer) for peer in PEERS}
        runs = {peer.name: run for peer, run in working.items() if not isinstance(run, str)}
        at, flops, everything = points(), compiled("prefill.flops"), compile_costs(stages())
        sizes = of("prefill.flops", POINT)

        def ours() -> object:
            sizes["B"], sizes["S"] = next(at)
            return flops(**sizes)

        def all_of_ours() -> object:
            sizes["B"], sizes["S"] = next(at)
            return everything(K=0, **sizes)

        samples = {"one": repeated(ours), "all": repeated(all_of_ours)}
        samples |= {name: repeated(run) for name, run in runs.items()}
        found = medians(samples, FEW_ROUNDS)
    one, everything_ours = found["one"], found["all"]
    rows = [
        (
            "symcost",
            symcost.__version__,
            "FLOPs of a prefill of DeepSeek-OCR, its vision included, from a closed form, exact",
            duration(one),
            "1",
        ),
        (
            "symcost",
            symcost.__version__,
            f"all {len(METRICS)} metrics of all stages, exact",
            duration(everything_ours),
            f"{everything_ours / one:.3g}",
        ),
    ]
    for peer, run in working.items():
        if isinstance(run, str):
            rows.append((peer.name, peer.version, f"not measured: {run}", "–", "–"))
        else:
            time = found[peer.name]
            rows.append((peer.name, peer.version, peer.gives, duration(time), f"{time / one:.3g}"))
    return Section(
        "Beside other tools",
        "One evaluation at one point, another point each time; loading and making the model are "
        "not counted. They answer different questions, so read the words: apart from symcost, "
        "each gives numbers for one point and no formula that could be evaluated for others.",
        ("tool", "version", "what one evaluation gives", "time", "times symcost's prefill FLOPs"),
        rows,
    )


SECTIONS = (one_point, dense, scattered, wrong_without_notice, starting, sweeps, beside_peers)


# The document.


def document(sections: list[Section], targets: list[Target]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  Markdown, not HTML
    )
    template = environment.get_template("performance.md.j2")
    return template.render(
        sections=sections, targets=targets, machine=machine(), rounds=ROUNDS, few=FEW_ROUNDS
    )


def shown(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    return table


def measured(count: int, console: Console) -> Iterator[Section]:
    for section in SECTIONS:
        with console.status(section.__name__.replace("_", " ")):
            found = section(count)
        console.print(shown(found.title, found.columns, found.rows))
        yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the document")
    parser.add_argument("--points", type=float, default=1e7, help="of a grid or table; 1e7")
    options = parser.parse_args()
    if options.write:
        require_writable(options.write)
        of_gpu = part_of(written_in(options.write))
    console = Console()
    for name, value in machine().items():
        console.print(f"{name}: {value}")
    sections = list(measured(round(options.points), console))
    targets = [target for section in sections for target in section.targets]
    rows = [(target.name, target.asked, target.measured, target.verdict) for target in targets]
    console.print(shown("Targets", ("what", "target", "worst measured", ""), rows))
    if options.write:
        write_all({options.write: with_part(document(sections, targets), of_gpu)})


if __name__ == "__main__":
    main()
