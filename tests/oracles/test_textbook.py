"""symcost against a textbook page of plain arithmetic, on random workloads."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from symcost.cost import VECTOR_FLOPS
from symcost.exact import evaluate
from symcost.execution import Execution, work
from symcost.models import load
from symcost.models.deepseek_ocr.geometry import Views
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, stage_costs
from symcost.stages import Stage
from symcost.symbols import B, I_g, I_t, K, S, n_h, n_w
from symcost.verify.stated import stage_graphs
from tests.oracles.textbook import PARAMETERS, Page, image_tokens, textbook

GRIDS = [(0, 0)] + [(w, h) for w in range(1, 10) for h in range(1, 10) if 2 <= w * h <= 9]
WIDTHS = [Fraction(1, 2), 1, 2, 4]
WORK = ("matrix_flops", "vector_flops", "weight_bytes", "kv_bytes")


def random_page(seed: int) -> Page:
    draw = random.Random(seed)
    columns, rows = draw.choice(GRIDS)
    page = Page(
        batch=draw.choice([1, 1, 2, 3, 8, 31]),
        base_size=64 * draw.randint(1, 32),
        tile_size=draw.choice([640, 640, 64 * draw.randint(1, 32)]),
        n_w=columns,
        n_h=rows,
        context_len=1,
        cached=draw.choice([0, 1, draw.randint(2, 9000)]),
        lm_head_last=draw.random() < 0.5,
        reference=draw.choice(["vendor", "transformers"]),
        weight_width=draw.choice(WIDTHS),
        activation_width=draw.choice(WIDTHS),
        kv_width=draw.choice(WIDTHS),
    )
    longer = image_tokens(page) + draw.choice([0, 1, draw.randint(2, 5000)])
    return Page(**{**page.__dict__, "context_len": longer})


def costs_of(page: Page, execution: str) -> dict:
    workload = Workload(
        Views(page.base_size, page.tile_size, page.n_w, page.n_h),
        page.batch,
        page.context_len,
        page.cached,
    )
    stages = stage_costs(
        lambda views: load(
            "deepseek-ocr",
            views=views,
            reference=page.reference,
            execution=execution,
            lm_head="last" if page.lm_head_last else "all",
            widths=Widths(page.weight_width, page.activation_width, page.kv_width),
        ),
        workload,
    )
    parts = {f"{s}.{p}": part for s, cost in stages.items() for p, part in cost.parts.items()}
    return {**stages, **parts}


@pytest.mark.parametrize(
    "seed", [*range(80), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(80, 240))]
)
def test_every_stage_and_part_of_a_random_workload(seed):
    page = random_page(seed)
    stated, ours = textbook(page), costs_of(page, "ideal")
    assert stated.keys() == ours.keys()
    for name, figures in stated.items():
        for metric in WORK:
            assert getattr(ours[name], metric) == getattr(figures, metric), (name, metric, page)
        if not name.startswith("vision."):
            # The parts of vision are one call, so they share one kernel.
            traffic = (figures.compulsory_read, figures.compulsory_written)
            assert (ours[name].bytes_read, ours[name].bytes_written) == traffic, (name, page)


@pytest.mark.parametrize("execution", ["eager", "fused"])
@pytest.mark.parametrize("seed", range(1000, 1010))
def test_work_and_storage_do_not_depend_on_the_execution(seed, execution):
    page = random_page(seed)
    stated, ours = textbook(page), costs_of(page, execution)
    for name, figures in stated.items():
        for metric in WORK:
            assert getattr(ours[name], metric) == getattr(figures, metric), (name, metric, page)


def test_parameters_of_the_published_model():
    """The counts of FACTS.md, taken from the vendor's code."""
    assert PARAMETERS == {
        "sam": 95_569_152,
        "clip": 303_177_728,
        "projector": 2_622_720,
        "embedding": 165_478_400,
        "decoder layers": 2_603_776_000,
        "final norm": 1280,
        "newline": 1280,
        "separator": 1280,
        "lm_head": 165_478_400,
    }
    assert sum(PARAMETERS.values()) == 3_336_106_240


@pytest.mark.parametrize(
    ("page", "name", "flops"),
    [
        (Page(1, 1024, 640, 0, 0, 273, 0), "vision.sam", 976_909_172_736),
        (Page(1, 640, 640, 0, 0, 111, 0), "vision.sam", 325_620_793_344),
        (Page(1, 1024, 640, 0, 0, 273, 0), "vision.clip", 161_715_683_328),
        (Page(1, 1024, 640, 0, 0, 273, 0), "vision.projector", 1_342_177_280),
        (Page(1, 64, 640, 0, 0, 64, 64), "decode", 1_152_185_856),
    ],
)
def test_the_textbook_has_the_counts_of_the_real_code(page, name, flops):
    """The counts of FACTS.md: the oracle itself is right where it can be checked."""
    assert textbook(page)[name].matrix_flops == flops


def test_the_textbooks_prefill_has_the_count_of_the_real_code():
    costs = textbook(Page(1, 64, 640, 0, 0, 64, 64))
    together = costs["prefill.decoder"].matrix_flops + costs["prefill.lm_head"].matrix_flops
    assert together == 73_735_962_624


PAGE = Page(2, 640, 640, 2, 3, 1000, 77, reference="transformers")
POINT = {B: 2, S: 1000, I_g: 640, I_t: 640, n_w: 2, n_h: 3}
VECTOR_OPERATORS = sorted(
    {
        operation.operator
        for graphs in stage_graphs().values()
        for graph in graphs.values()
        for operation in graph.operations
        if operation.vector_flops != 0
    }
)


def vector_flops_by_stage() -> dict[str, int]:
    """What the graphs of all stages state at the page; a decode step is one token on 77 cached."""
    points = {Stage.VISION: POINT, Stage.PREFILL: POINT | {K: 0}, Stage.DECODE: {B: 2, S: 1, K: 77}}
    return {
        stage: sum(
            evaluate(entry.amount, points[stage])
            for graph in graphs.values()
            for entry in work(graph, Execution.EAGER)
            if entry.resource == VECTOR_FLOPS
        )
        for stage, graphs in stage_graphs().items()
    }


TEXTBOOK = {stage: figures.vector_flops for stage, figures in textbook(PAGE).items()}


def test_vector_flops_of_the_graphs_are_the_textbooks():
    assert vector_flops_by_stage() == {stage: TEXTBOOK[stage] for stage in Stage}


@pytest.mark.parametrize("factor", [0, 2])
@pytest.mark.parametrize("name", VECTOR_OPERATORS)
def test_vector_work_stated_wrongly_is_noticed(name, factor, change_rule):
    """No counter sees vector work; the textbook notices what is doubled or dropped."""
    change_rule(name, lambda rule: replace(rule, vector_elements=factor * rule.vector_elements))
    assert vector_flops_by_stage() != {stage: TEXTBOOK[stage] for stage in Stage}
