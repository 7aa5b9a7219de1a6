"""The static analyzer of the seed: its stages, and the cross-check with the formulas."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from symcost.errors import InputError, OperatorError
from symcost.verify import blind_spots
from symcost.verify.grid import page, text
from symcost.verify.port import Real
from symcost.verify.static import DeepseekOCRStaticAnalyzer

torch.set_num_threads(1)

PAGE = page(64, 2, (2, 1), tile=128, text=5, cached=9)


@pytest.fixture(scope="module")
def real():
    return Real()


@pytest.fixture(scope="module")
def checks(real):
    return list(DeepseekOCRStaticAnalyzer(real).cross_check(PAGE))


@pytest.fixture(scope="module")
def counted(checks):
    """What the analyzer counts, which does not depend on any formula."""
    return {check.stage: check.static for check in checks}


def test_the_stage_map_is_the_seeds():
    stages = DeepseekOCRStaticAnalyzer.m_stage_module_map
    assert list(stages) == ["sam", "clip", "projector", "prefill", "decode"]


def test_vision_is_the_sum_of_its_parts(counted):
    assert list(counted) == ["vision", "sam", "clip", "projector", "prefill", "decode"]
    assert counted["vision"] == counted["sam"] + counted["clip"] + counted["projector"]
    assert all(count > 0 for count in counted.values())


def test_analytic_and_static_are_the_same_for_every_stage(checks):
    assert {check.stage: check.difference for check in checks} == dict.fromkeys(
        ("vision", "sam", "clip", "projector", "prefill", "decode"), 0
    )


def test_a_broken_formula_shows_in_the_cross_check(real, counted, change_rule, monkeypatch):
    monkeypatch.setattr(DeepseekOCRStaticAnalyzer, "analyze", lambda *_: counted)
    change_rule("conv2d", lambda rule: replace(rule, macs=rule.macs + 1))
    checks = list(DeepseekOCRStaticAnalyzer(real).cross_check(PAGE))
    assert {check.stage for check in checks if check.difference} == {"vision", "sam"}


def test_text_alone_is_refused(real):
    with pytest.raises(InputError, match="needs a workload with a page"):
        DeepseekOCRStaticAnalyzer(real).analyze(text(1, 5))


def test_an_undeclared_operator_is_an_error(real, monkeypatch):
    monkeypatch.setattr(blind_spots, "BLIND_SPOTS", ())
    monkeypatch.setattr(blind_spots.undeclared, "__defaults__", ((),))
    with pytest.raises(OperatorError, match="fvcore does not count it"):
        DeepseekOCRStaticAnalyzer(real).analyze(PAGE)
