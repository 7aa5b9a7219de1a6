"""What the tests of exports share: figures of the model, and points to compare at."""

from __future__ import annotations

import functools
import random

from symcost.cost import METRICS, Cost
from symcost.figures import formula_of
from symcost.models import load
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import symbolic_costs

LARGEST = 10**9


@functools.cache
def figures(execution="eager", *, symbolic_widths=False):
    """Every figure of every stage and part by its name."""
    widths = Widths.SYMBOLIC if symbolic_widths else Widths()
    costs = symbolic_costs(load("deepseek-ocr", execution=execution, widths=widths))

    def names(path: str, cost: Cost) -> list[str]:
        inner = [name for part, own in cost.parts.items() for name in names(f"{path}.{part}", own)]
        return [f"{path}.{metric}" for metric in METRICS] + inner

    return {name: formula_of(costs, name) for s, c in costs.items() for name in names(s, c)}


EDGES = {
    "B": (1, 2, 6, 193, 194, 195, LARGEST),
    "S": (1, 193, 194, 195, 8192, LARGEST),
    "K": (0, 1, 8191, LARGEST),
    "T": (1, 2, 4096, LARGEST),
    "I_g": (64, 448, 960, 1024, 1088, LARGEST - LARGEST % 64),
    "I_t": (64, 448, 640, 1024, 1088, LARGEST - LARGEST % 64),
    "n_w": (0, 1, 3, LARGEST),
    "n_h": (0, 1, 2, LARGEST),
}


def points(count: int, seed: int = 7):
    """Sizes of all magnitudes, and ends and bends of domains among them."""
    drawn = random.Random(seed)

    def size(name: str) -> int:
        if drawn.random() < 0.2:
            return drawn.choice(EDGES[name])
        least = EDGES[name][0]
        most = 10 ** drawn.choice((1, 2, 3, 3, 4, 9))
        if name.startswith("I_"):
            return 64 * drawn.randint(1, min(most, LARGEST // 64))
        return drawn.randint(least, most)

    for _ in range(count):
        yield {name: size(name) for name in EDGES}
