"""Eager traffic against every operator of the real model, module by module, byte by byte.

For two or more sequences. With a single one some copies of the reference are free views.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch

from symcost.cost import Direction, Traffic
from symcost.exact import Evaluator
from symcost.models.deepseek_ocr.workload import Workload
from symcost.paths import enclosing
from symcost.stages import Stage
from symcost.symbols import U
from symcost.tensor import Kind
from symcost.verify.byte_counter import Moved, count, stored_bytes
from symcost.verify.grid import page, text
from symcost.verify.port import Real, filled_cache, images_of, run_decoder
from symcost.verify.stated import Stated, by_module, shares, stated_stages

torch.set_num_threads(1)

REAL = Real()


@cache
def stated(has_page: bool) -> dict[Stage, Stated]:
    return stated_stages() if has_page else stated_stages(views=None)


def moved(cost, direction: Direction, workload: Workload) -> dict[str, int]:
    given = [share for kind in Kind for share in shares(cost.forward, Traffic(kind, direction))]
    return by_module(given, Evaluator(workload.bindings | {U: 6}))


def differences(cost, workload: Workload, real: Moved) -> dict[tuple[str, str], int]:
    """What is stated beyond what was counted, for each module that differs, innermost ones only."""
    found = {}
    for direction, counted in ((Direction.READ, real.read), (Direction.WRITTEN, real.written)):
        ours = moved(cost, direction, workload)
        off = {path: ours.get(path, 0) - counted.of(path) for path in REAL.modules}
        wrong = {path for path, by in off.items() if by}
        outer = {around for path in wrong if path for around in enclosing(path.rpartition(".")[0])}
        found |= {(path, direction.value): off[path] for path in wrong - outer}
    return found


def run_tower(images):
    seen = REAL.meta.model.vision_tower(images["pixel_values"]).last_hidden_state
    return REAL.meta.model.multi_modal_projector(seen)


PAGES = [*(page(side, 2) for side in (320, 576, 640, 1280)), page(960, 3)]


@pytest.mark.parametrize("workload", PAGES, ids=lambda w: f"{w.batch} of {w.views.base_size} px")
def test_the_vision_tower_moves_what_is_stated(workload):
    images = images_of(REAL.meta, workload.batch, workload.views)
    real = count(REAL.meta, lambda: run_tower(images))
    assert differences(stated(True)[Stage.VISION], workload, real) == {}


def test_at_the_trained_side_clip_looks_its_positions_up():
    """An exception: the reference reads the table by number there, 8 bytes a position."""
    workload = page(1024, 2)
    images = images_of(REAL.meta, 2, workload.views)
    real = count(REAL.meta, lambda: run_tower(images))
    path = "model.vision_tower.vision_encoder.embeddings.position_embedding"
    table = 257 * 1024 * 2
    assert differences(stated(True)[Stage.VISION], workload, real) == {
        (path, "read"): -table - 257 * 8,
        (path, "written"): -table,
    }


def test_a_single_window_need_not_be_cut_out():
    """An exception: up to 224 px the windows of a view are the view, which needs no copy."""
    workload = page(192, 2)
    images = images_of(REAL.meta, 2, workload.views)
    real = count(REAL.meta, lambda: run_tower(images))
    copies = 2 * (2 * 14 * 14 * 768 * 2)
    found = differences(stated(True)[Stage.VISION], workload, real)
    windowed = {f"model.vision_tower.sam_encoder.layers.{i}" for i in (0, 1, 3, 4, 6, 7, 9, 10)}
    assert {path for path, _ in found} == windowed
    assert set(found.values()) == {copies}


TEXTS = [text(2, 7), text(3, 64), text(2, 5, 63), text(8, 2, 400)]


@pytest.mark.parametrize("workload", TEXTS, ids=lambda w: f"{w.batch}-{w.context_len}-{w.cached}")
def test_the_decoder_moves_what_is_stated_but_for_its_experts(workload):
    past = filled_cache(REAL.meta, workload.batch, workload.cached)
    real = count(
        REAL.meta,
        lambda: run_decoder(REAL.meta, workload.batch, workload.context_len, past),
    )
    found = differences(stated(False)[Stage.PREFILL], workload, real)
    assert {path for path, _ in found} == {
        f"model.language_model.layers.{layer}.mlp.experts" for layer in range(1, 12)
    }


def test_a_single_query_need_not_be_brought_in_order():
    """An exception: the heads of one token are in order, so two copies of the step are free."""
    workload = text(8, 1, 400)
    past = filled_cache(REAL.meta, 8, 400)
    real = count(REAL.meta, lambda: run_decoder(REAL.meta, 8, 1, past))
    found = differences(stated(False)[Stage.DECODE], workload, real)
    attention = {by for (path, _), by in found.items() if path.endswith("self_attn")}
    assert attention == {2 * (8 * 1280 * 2)}
    assert {path.rpartition(".")[2] for path, _ in found} == {"self_attn", "experts"}


def test_what_a_tensor_repeats_counts_once():
    table = torch.empty(3, 5, device="meta")
    assert stored_bytes(table) == 60
    assert stored_bytes(table.t()) == 60
    assert stored_bytes(table[:, None].expand(3, 7, 5)) == 60
    assert stored_bytes(table[:, :2]) == 24
    assert stored_bytes(torch.empty(0, 5, device="meta").expand(0, 5)) == 0


def test_views_move_nothing_and_an_operand_given_twice_is_read_once():
    x = torch.empty(4, 6, dtype=torch.bfloat16, device="meta")
    module = torch.nn.Identity()
    assert count(module, lambda: x.t()[:3].reshape(12)).read.of("") == 24
    assert count(module, lambda: x.view(24)[3:]).read.of("") == 0
    moved = count(module, lambda: x * x)
    assert (moved.read.of(""), moved.written.of("")) == (48, 48)
    moved = count(module, lambda: x + x.clone())
    assert (moved.read.of(""), moved.written.of("")) == (48 + 96, 48 + 48)


def test_an_embedding_reads_the_rows_that_are_looked_up():
    table, ids = torch.empty(100, 6, device="meta"), torch.zeros(2, 3, dtype=int, device="meta")
    moved = count(torch.nn.Identity(), lambda: torch.nn.functional.embedding(ids, table))
    assert (moved.read.of(""), moved.written.of("")) == (6 * 8 + 6 * 24, 6 * 24)


@pytest.mark.parametrize(
    ("make", "written"),
    [
        (lambda x: x.new_zeros(7), 14),
        (lambda x: x.new_ones(7), 14),
        (lambda x: x.new_full((7,), 2), 14),
        (torch.zeros_like, 12),
        (torch.ones_like, 12),
        (lambda x: torch.full_like(x, 2), 12),
        (torch.empty_like, 0),
        (lambda x: x.new_empty(7), 0),
        (lambda x: x.new_empty_strided((7,), (1,)), 0),
    ],
)
def test_what_is_made_after_the_likeness_of_a_tensor_reads_nothing_of_it(make, written):
    x = torch.empty(6, dtype=torch.bfloat16, device="meta")
    moved = count(torch.nn.Identity(), lambda: make(x))
    assert (moved.read.of(""), moved.written.of("")) == (0, written)
