"""Peaks of live activations under eager execution against those of the real model, byte by byte.

For two or more sequences: with a single one some copies of the reference are free views. The
experts of the real model run as transformers runs them unless told otherwise, by grouped products,
which need no values; their own moments are not compared.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from symcost.cost import Cost
from symcost.exact import Evaluator
from symcost.execution import Execution, cost_of
from symcost.graph import Graph
from symcost.models import load
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.workload import Workload
from symcost.paths import enclosing, expanded
from symcost.stages import SyntheticKVCache
from symcost.symbols import B, K, S, U
from symcost.verify.grid import page, text
from symcost.verify.liveness import Liveness, measure
from symcost.verify.port import (
    cache_of,
    images_of,
    port,
    run_decoder,
    run_vision,
)
from symcost.verify.stated import REFERENCE

torch.set_num_threads(1)

FREQUENCIES = 64 * 4
"""A buffer of the real model that the formulas take for an activation that is given."""


@cache
def real():
    model = port()
    model.set_experts_implementation("grouped_mm")
    return model


def pixels(images) -> list[torch.Tensor]:
    return [x for x in images.values() if isinstance(x, torch.Tensor)]


@cache
def seen(workload: Workload) -> Liveness:
    images = images_of(real(), workload.batch, workload.views)
    return measure(real(), lambda: run_vision(real(), images), given=pixels(images), inside="model")


@cache
def read(workload: Workload, lm_head: str = "last") -> Liveness:
    """A pass of the decoder, after vision where there is a page."""
    images = images_of(real(), workload.batch, workload.views)
    past = cache_of(real(), workload.batch, workload.cached)
    return measure(
        real(),
        lambda: run_decoder(
            real(),
            workload.batch,
            workload.context_len,
            past,
            images,
            last_only=lm_head == "last",
        ),
        given=[real().model.language_model.rotary_emb.inv_freq, *pixels(images)],
        cache=past,
    )


@cache
def model(has_page: bool, lm_head: str) -> DeepseekOCRModel:
    views = {} if has_page else {"views": None}
    return load("deepseek-ocr", reference=REFERENCE, lm_head=lm_head, **views)


@cache
def vision() -> Cost:
    model(True, "last").start_vision(B)
    return model(True, "last").get_forward_cost()


@cache
def prefill(has_page: bool, lm_head: str = "last") -> Cost:
    model(has_page, lm_head).start_prefill(S, B, SyntheticKVCache(B, K))
    return model(has_page, lm_head).get_forward_cost()


def at(workload: Workload) -> Evaluator:
    return Evaluator(workload.bindings | {U: 6})


def peaks(cost: Cost, workload: Workload) -> dict[str, tuple[int, str]]:
    """The peak while each module runs, and where it is."""
    found: dict[str, tuple[int, str]] = {}
    value = at(workload)
    for path, formula in cost.moments:
        amount = value(formula)
        for module in {m for single in expanded(path) for m in enclosing(single)}:
            found[module] = max(found.get(module, (0, "")), (amount, path))
    return found


@cache
def modules() -> frozenset[str]:
    """The modules that run: lists of them do not."""
    kinds = real().named_modules()
    return frozenset(path for path, kind in kinds if not isinstance(kind, torch.nn.ModuleList))


def named(workload: Workload) -> str:
    seen = workload.views
    image = f" {seen.base_size} px {seen.columns}x{seen.rows}" if seen else ""
    return f"{workload.batch}-{workload.context_len}-{workload.cached}{image}"


PAGES = (
    *(page(side, 2) for side in (512, 640, 1280)),
    page(1024, 2, (2, 3)),
    page(512, 8, (2, 1)),
)


@pytest.mark.parametrize("workload", PAGES, ids=named)
def test_the_peak_of_vision_is_that_of_the_real_model(workload):
    assert at(workload)(vision().activation_bytes) == seen(workload).peak().live


def test_with_a_single_page_a_copy_is_stated_that_is_free():
    workload = page(512, 1)
    stated, real = at(workload)(vision().activation_bytes), seen(workload).peak().live
    assert stated - real == 3 * 32**2 * 768 * 2
    assert stated < 1.05 * real


TEXTS = (
    text(1, 1),
    *(text(batch, 1, cached) for batch in (1, 8) for cached in (400, 4096)),
    text(2, 1203),
    text(8, 1203),
    text(2, 513, 4096),
)


@pytest.mark.parametrize("workload", TEXTS, ids=named)
def test_the_peak_of_the_decoder_is_that_of_the_real_model(workload):
    assert at(workload)(prefill(False).activation_bytes) == read(workload).peak().live


@pytest.mark.parametrize(
    "workload",
    [*(text(b, s) for b, s in ((8, 1), (1, 64), (2, 400), (8, 400), (1, 1203))), text(2, 7, 63)],
    ids=named,
)
def test_logits_of_all_tokens_are_the_peak_of_a_prefill(workload):
    """The head does not know of ids and frequencies, which are held to the end: 0.01 %."""
    real = read(workload, "all").peak()
    assert real.place == "aten.mm in lm_head"
    held = workload.batch * workload.context_len * 8 + FREQUENCIES
    assert at(workload)(prefill(False, "all").activation_bytes) == real.live - held


@pytest.mark.parametrize(
    "workload",
    [page(512, 1, (2, 1), text=20), page(512, 1, text=1024)],
    ids=named,
)
def test_a_prefill_with_a_page_holds_little_that_its_parts_do_not_know_of(workload):
    """Embedded tokens while vision runs, pixels and features while the decoder does: 5 %."""
    stated = at(workload)(prefill(True, "all").activation_bytes)
    assert stated == pytest.approx(read(workload, "all").peak().live, rel=0.05)


@pytest.mark.parametrize("workload", [text(2, 7, 63), text(8, 1, 400)], ids=named)
def test_the_peak_of_each_module_of_the_decoder_is_that_of_the_real_model(workload):
    real, stated = read(workload), peaks(prefill(False), workload)
    compared = set()
    for module, (amount, place) in stated.items():
        path = f"{module}."
        if ".embed_tokens." in path or "lm_head" in path or module not in modules():
            continue  # position ids are made behind the one and gone before the other
        moment = real.peak(module)
        if ".mlp.experts" not in place and ".mlp.experts" not in moment.place:
            assert (module, amount) == (module, moment.live)
            compared.add(module)
    assert len(compared) > 150


@pytest.mark.parametrize("workload", [PAGES[1], PAGES[-1]], ids=named)
def test_the_peak_of_each_module_of_vision_is_near_that_of_the_real_model(workload):
    """Left out: figures of rows in LayerNorm, CLIP's input that is held beside that of each layer.

    Where CLIP resizes its positions there is a copy in float32 besides.
    """
    real, stated = seen(workload), peaks(vision(), workload)
    for module, (amount, _) in stated.items():
        if module in modules() and not module.endswith("embeddings"):
            assert (module, amount) == (module, pytest.approx(real.peak(module).live, rel=0.06))


@pytest.mark.parametrize("workload", [text(2, 1203), text(8, 1, 400)], ids=named)
def test_cache_and_activations_are_all_that_is_resident_beside_weights(workload):
    cost, value = prefill(False), at(workload)
    assert value(cost.kv_bytes) + value(cost.activation_bytes) == read(workload).resident


class TestMistakes:
    """What would be noticed."""

    @staticmethod
    @cache
    def graph(has_page: bool) -> Graph:
        vision() if has_page else prefill(False)
        return model(has_page, "last").graphs["vision" if has_page else "decoder"]

    @staticmethod
    def peaks_of(graph: Graph, workload: Workload) -> dict[str, tuple[int, str]]:
        return peaks(cost_of(graph, Execution.EAGER), workload)

    @pytest.mark.parametrize("workload", [PAGES[-1], text(2, 1203)], ids=named)
    def test_each_name_is_part_of_some_peak(self, workload):
        """A name that a layer forgets is a peak that is too small."""
        graph = self.graph(workload.views is not None)
        whole = self.peaks_of(graph, workload)
        idle = []
        for name in graph.holds:
            same = (name.path, name.tensor.name)
            others = [x for x in graph.holds if (x.path, x.tensor.name) != same]
            less = self.peaks_of(replace(graph, holds=others), workload)
            if not any(less[module][0] < whole[module][0] for module in modules() & whole.keys()):
                idle.append(same)
        assert not idle, "\n".join(map(str, idle))

    def test_callers_are_part_of_the_peak(self):
        forgotten = replace(self.graph(True), calls=False)
        (peak, _) = self.peaks_of(forgotten, PAGES[0])[""]
        assert peak < seen(PAGES[0]).peak().live

    def test_without_names_the_peak_is_out_of_bounds(self):
        (peak, _) = self.peaks_of(replace(self.graph(True), holds=[]), PAGES[0])[""]
        assert peak < 0.95 * seen(PAGES[0]).peak().live

    def test_scores_of_twice_their_width_are_out_of_bounds(self, monkeypatch):
        monkeypatch.setattr("symcost.layers.attention.FLOAT32_WIDTH", 8)
        doubled = load("deepseek-ocr", reference=REFERENCE)
        doubled.start_vision(B)
        peak = at(PAGES[0])(doubled.get_forward_cost().activation_bytes)
        assert peak > 1.05 * seen(PAGES[0]).peak().live
