"""Executions by part: vision and decoder can be switched separately."""

from __future__ import annotations

import pytest

from symcost.errors import InputError
from symcost.execution import Execution
from symcost.models import load
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import Views

PAGE = Views(1024, 640, 2, 3)


@pytest.mark.parametrize(
    ("text", "vision", "decoder", "shown"),
    [
        ("fused", "fused", "fused", "fused"),
        ("vision=eager,decoder=fused", "eager", "fused", "vision=eager,decoder=fused"),
        ("decoder=ideal,vision=fused", "fused", "ideal", "vision=fused,decoder=ideal"),
        ("decoder=fused", "eager", "fused", "vision=eager,decoder=fused"),
        ("vision=ideal,decoder=ideal", "ideal", "ideal", "ideal"),
    ],
)
def test_text(text, vision, decoder, shown):
    parsed = Executions.parse(text)
    assert parsed == Executions(Execution(vision), Execution(decoder))
    assert str(parsed) == shown
    assert Executions.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "lazy", "vision", "vision=lazy", "head=fused", "="])
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="allowed: eager, fused, ideal, or NAME=EXECUTION for vis"):
        Executions.parse(text)


def prefill(execution):
    model = load("deepseek-ocr", views=PAGE, execution=execution)
    model.start_prefill(924, 1)
    return model.get_forward_cost()


def test_each_part_moves_what_it_moves_under_its_own_execution():
    eager, fused = prefill("eager"), prefill("fused")
    mixed = prefill("vision=eager,decoder=fused")
    assert mixed.parts["vision"] == eager.parts["vision"]
    for part in ("decoder", "lm_head"):
        assert mixed.parts[part] == fused.parts[part]
    assert fused.bytes_moved < mixed.bytes_moved < eager.bytes_moved
    assert mixed.matrix_flops == eager.matrix_flops == fused.matrix_flops


def test_an_execution_may_be_given_as_what_it_is():
    assert prefill(Execution.FUSED) == prefill("fused")
    assert prefill(Executions(decoder=Execution.FUSED)) == prefill("decoder=fused")
