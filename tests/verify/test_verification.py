"""The verification as a whole: green on the real model, red on anything broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from symcost.errors import InputError
from symcost.verify import verification
from symcost.verify.comparison import Formulas
from symcost.verify.grid import FULL, QUICK, Grid, page, text
from symcost.verify.mutants import sensitivity
from symcost.verify.port import Real
from symcost.verify.quantities import Quantity
from symcost.verify.runs import ATTENTION, steps
from symcost.verify.stated import digest, stated_by_page
from symcost.verify.targets import Target
from symcost.verify.verification import Verification, verify

torch.set_num_threads(1)

NOTHING = Grid(**dict.fromkeys(vars(QUICK), ()))
TINY = replace(
    NOTHING,
    vision=(page(64, 1),),
    prefill=(page(64, 2, cached=3), text(2, 7)),
    decode=(text(2, 1, 5),),
)


@pytest.fixture(scope="module")
def real() -> Real:
    return Real()


@pytest.fixture(autouse=True)
def made_once(real, monkeypatch):
    """The real model is the same in every verification, unless a test changes it."""
    monkeypatch.setattr(verification, "Real", lambda: real)


@pytest.fixture(scope="module")
def formulas() -> Formulas:
    return Formulas()


@pytest.fixture
def stated_once(formulas, monkeypatch):
    """So are the formulas, where a test leaves the rules as they are."""
    monkeypatch.setattr(verification, "Formulas", lambda _: formulas)


@pytest.fixture
def without_mutants(monkeypatch):
    monkeypatch.setattr(verification, "sensitivity", lambda *_: None)


@pytest.fixture
def changed_port(monkeypatch):
    """Lets a test change the real model before it is counted."""

    def change(how):
        class Changed(Real):
            @property
            def meta(self):
                model = super().meta
                if not hasattr(model, "changed"):
                    model.changed = True
                    with torch.device("meta"):
                        how(model)
                return model

        monkeypatch.setattr(verification, "Real", Changed)

    return change


@pytest.mark.usefixtures("without_mutants")
def test_all_targets_are_green(real):
    told = []
    result = verify(grid=TINY, progress=lambda *told_: told.append(told_))
    assert result.problems == []
    assert result.modules == set(real.modules)
    assert len(real.modules) > 600
    assert {row.difference for row in result.rows.values()} == {0}
    assert told[-1][1] == told[-1][2]
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    found = result.as_dict()
    assert found["comparisons"] > 5 * len(real.modules)
    assert found["comparisons"] > found["comparisons_not_zero"] > 1000
    assert found["worst_difference"] == 0
    whole = {row["part"]: row for row in found["rows"] if row["quantity"] == "parameters"}
    assert whole[""]["counted"] == 3_335_504_128


@pytest.mark.usefixtures("without_mutants", "stated_once")
@pytest.mark.parametrize(
    "target",
    [pytest.param(t, marks=pytest.mark.slow) if t is Target.CORE else t for t in Target],
)
def test_a_target_alone(target):
    grid = replace(TINY, fvcore_prefill=(text(2, 3),), static=(page(64, 1),))
    result = verify(targets=(target,), grid=grid)
    assert result.problems == []
    assert result.comparisons > 0


@pytest.mark.usefixtures("without_mutants")
@pytest.mark.parametrize(
    ("target", "operator", "path", "rule", "counted_by"),
    [
        (
            Target.DECODER,
            "linear",
            "model.language_model.layers.0.self_attn.q_proj",
            "linear",
            "aten.mm",
        ),
        (
            Target.VISION,
            "conv2d",
            "model.vision_tower.sam_encoder.patch_embed.projection",
            "conv2d",
            "aten.convolution",
        ),
        (
            Target.PREFILL_DECODE,
            "matmul",
            "model.language_model.layers.0.self_attn",
            "matmul scores",
            "aten.bmm",
        ),
    ],
)
def test_a_broken_formula_is_told_with_module_operators_and_numbers(
    change_rule, target, operator, path, rule, counted_by
):
    change_rule(operator, lambda r: replace(r, macs=2 * r.macs))
    result = verify(targets=(target,), grid=TINY)
    (problem,) = [p for p in result.problems if p.startswith(f"{path}: matrix FLOPs")]
    difference = next(d for d in result.differences if d.path == path)
    assert f"predicted {difference.predicted:,} (" in problem
    assert f"counted {difference.counted:,} (" in problem
    assert f"{rule} " in problem
    assert f"{counted_by} " in problem
    assert difference.predicted > difference.counted > 0
    assert result.sensitivity is None


@pytest.mark.usefixtures("without_mutants")
def test_a_formula_that_is_no_whole_number_is_told(change_rule):
    change_rule("linear", lambda r: replace(r, macs=r.macs / 3))
    result = verify(targets=(Target.DECODER,), grid=replace(NOTHING, prefill=(text(1, 1),)))
    path = "model.language_model.layers.0.self_attn.k_proj"
    (problem,) = [p for p in result.problems if p.startswith(path)]
    assert "predicted 3276800/3 (linear 3276800/3), counted 3,276,800 (aten.mm" in problem
    rows = result.as_dict()["rows"]
    assert any(isinstance(row["predicted"], str) and "/3" in row["predicted"] for row in rows)


@pytest.mark.usefixtures("without_mutants")
def test_a_wrong_number_of_image_tokens_is_told(monkeypatch):
    """The port's features are counted, newlines and separator among them."""
    from symcost.models.deepseek_ocr.geometry import Views

    right = Views.image_tokens.fget
    monkeypatch.setattr(Views, "image_tokens", property(lambda self: right(self) - self.rows))
    result = verify(targets=(Target.VISION,), grid=replace(NOTHING, vision=(page(64, 2, (2, 3)),)))
    (difference,) = result.differences
    assert difference.quantity is Quantity.IMAGE_TOKENS
    assert difference.counted - difference.predicted == 2 * 3


@pytest.mark.usefixtures("without_mutants", "stated_once")
def test_symcosts_own_errors_are_not_blamed_on_the_port(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(verification, "by_module", broken)
    with pytest.raises(ZeroDivisionError):
        verify(targets=(Target.DECODER,), grid=TINY)


@pytest.mark.usefixtures("without_mutants")
def test_the_first_difference_ends_the_verification(change_rule):
    change_rule("linear", lambda r: replace(r, macs=2 * r.macs))
    result = verify(targets=(Target.DECODER,), grid=replace(TINY, prefill=(text(1, 2), text(2, 3))))
    assert [row.runs for row in result.rows.values()] == [1] * len(result.rows)


@pytest.mark.usefixtures("without_mutants", "stated_once")
def test_another_width_in_the_port_is_told_per_module(changed_port):
    def wider(model):
        mlp = model.model.language_model.layers[3].mlp.shared_experts
        mlp.gate_proj = nn.Linear(1280, 1800, bias=False, dtype=torch.bfloat16)
        mlp.up_proj = nn.Linear(1280, 1800, bias=False, dtype=torch.bfloat16)
        mlp.down_proj = nn.Linear(1800, 1280, bias=False, dtype=torch.bfloat16)

    changed_port(wider)
    result = verify(targets=(Target.DECODER,), grid=TINY)
    inside = "model.language_model.layers.3.mlp.shared_experts"
    assert {difference.path for difference in result.differences} == {
        f"{inside}.{name}" for name in ("gate_proj", "up_proj", "down_proj")
    }


@pytest.mark.usefixtures("without_mutants", "stated_once")
def test_another_module_in_the_port_is_told(changed_port):
    def factored(model):
        model.lm_head = nn.Sequential(
            nn.Linear(1280, 64, bias=False, dtype=torch.bfloat16),
            nn.Linear(64, 129280, bias=False, dtype=torch.bfloat16),
        )
        model.lm_head.weight = model.lm_head[0].weight

    changed_port(factored)
    result = verify(targets=(Target.DECODER,), grid=TINY)
    assert {difference.path for difference in result.differences} == {"lm_head.0", "lm_head.1"}
    assert {d.predicted for d in result.differences} == {0}


@pytest.mark.usefixtures("without_mutants", "stated_once")
def test_a_module_that_the_port_has_lost_is_told(changed_port):
    def lost(model):
        del model.model.language_model.layers[3].mlp.shared_experts.up_proj

    changed_port(lost)
    (problem,) = verify(targets=(Target.DECODER,), grid=TINY).problems
    assert problem.startswith("the real model of transformers 5.23.0 raised AttributeError: ")
    assert problem.endswith("has no attribute 'up_proj'")


@pytest.mark.usefixtures("without_mutants", "stated_once")
def test_a_parameter_that_the_formulas_do_not_know_is_told(changed_port):
    def more(model):
        model.model.language_model.norm.bias = nn.Parameter(torch.zeros(1280))

    changed_port(more)
    result = verify(targets=(Target.CORE,), grid=TINY)
    assert {(d.path, d.predicted, d.counted) for d in result.differences} == {
        ("model.language_model.norm.bias", 0, 1280),
        ("model.language_model.norm.bias", 0, 4 * 1280),
    }


@pytest.mark.usefixtures("without_mutants", "stated_once")
def test_an_undeclared_operator_is_told(changed_port):
    def tangent(module, given):
        return (torch.tan(given[0]),)

    changed_port(lambda model: model.lm_head.register_forward_pre_hook(tangent))
    result = verify(targets=(Target.DECODER,), grid=TINY)
    assert result.problems == [
        "aten.tan ran in lm_head and FlopCounterMode does not count it; give the counter a rule, "
        "or declare it in symcost/verify/blind_spots.py with the reason"
    ]


def test_the_grids_are_as_wide_as_promised():
    pages = [w for w in FULL.vision if w.views]
    assert len({w.views.base_size for w in pages}) >= 5
    assert len({(w.views.columns, w.views.rows) for w in pages}) >= 6
    for name in ("vision", "prefill", "decode", "fvcore_vision", "fvcore_prefill", "fvcore_decode"):
        assert {1, 2, 8} <= {w.batch for w in getattr(FULL, name)}
    lengths = {w.context_len for w in FULL.prefill if w.views is None}
    assert {1, 1203} <= lengths
    assert {length % 2 for length in lengths} == {0, 1}
    assert {1, 4096} <= {w.cached for w in FULL.decode}
    for name in ("vision_backward", "prefill_backward", "decode_backward"):
        assert len(getattr(FULL, name)) >= 3


def observations(real: Real, grid: Grid, *targets: Target):
    return [seen for step in steps(real, grid, targets) for seen in step.run()]


def test_a_comparison_that_is_too_narrow_lets_mutants_through(real, formulas):
    """At one token of one sequence nothing tells B from S."""
    seen = observations(real, replace(NOTHING, prefill=(text(1, 1),)), Target.DECODER)
    found = sensitivity(formulas, seen)
    assert found.mutants > 100
    assert "matrix FLOPs of prefill, lm_head: S taken for B" in found.survivors
    assert not any("doubled" in name or "dropped" in name for name in found.survivors)


@pytest.mark.usefixtures("stated_once")
def test_survivors_make_the_verification_fail():
    result = verify(targets=(Target.DECODER,), grid=replace(NOTHING, prefill=(text(1, 1),)))
    assert "a wrong formula went unnoticed: matrix FLOPs of prefill, lm_head: S taken for B" in (
        result.problems
    )


def test_right_formulas_are_not_taken_for_mutants(real, formulas, monkeypatch):
    """The mutants are held against the same comparison that the formulas pass."""
    from symcost.verify import mutants

    seen = observations(real, TINY, Target.DECODER)
    monkeypatch.setattr(mutants, "_wrong", lambda amount, _: [("as it is", amount)])
    monkeypatch.setattr(mutants, "_changes", lambda _: [])
    found = sensitivity(formulas, seen)
    assert len(found.survivors) == found.mutants > 0


def test_the_fingerprint_changes_with_a_formula(change_rule):
    before = digest(stated_by_page())
    assert digest(stated_by_page()) == before
    change_rule("grouped_linear", lambda r: replace(r, macs=r.macs + 1))
    assert digest(stated_by_page()) != before


def test_an_unknown_model_is_refused():
    with pytest.raises(InputError, match="model is 'foo'"):
        verify("foo")


def test_the_attention_block_is_compared_by_itself(real, formulas):
    seen = observations(real, replace(NOTHING, fvcore_prefill=(text(2, 3),)), Target.LLAMA)
    assert [x.quantity for x in seen] == [Quantity.FORWARD, Quantity.BACKWARD, Quantity.FVCORE]
    assert {x.within for x in seen} == {ATTENTION}
    result = Verification("deepseek-ocr", NOTHING, (Target.LLAMA,))
    for observation in seen:
        verification.judge(result, formulas, observation)
    assert result.problems == []
    assert [(row.part, row.runs) for row in result.rows.values()] == [("attention block", 1)] * 3
