"""The proof: green on the real model, red on every broken formula, trace, case or module.

Few layers, one of each kind, stand for all of them; the command line proves the whole model.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sympy as sp
import torch
from torch import nn

from symcost.paths import enclosing
from symcost.symbols import B, I_g, I_t, K, S, ceil_div, n_h, n_w, q
from symcost.trace.cases import families, trace_all
from symcost.trace.domain import region
from symcost.trace.judging import EVERY_SIDE, PAGES, SYMBOLIC, SYMBOLIC_SIDE, judge
from symcost.trace.statements import Claim, current_statements
from symcost.trace.symbolic import Session
from symcost.trace.traced import SIDES, STEP, Trace, Traces
from tests.trace.support import small_formulas, small_port

torch.set_num_threads(1)

GATE = "model.language_model.layers.1.mlp.gate"
EXPERTS = "model.language_model.layers.1.mlp.experts"
WINDOWED = "model.vision_tower.sam_encoder.layers.0.attn"
GLOBAL = "model.vision_tower.sam_encoder.layers.1.attn"
FC1 = "model.vision_tower.vision_encoder.encoder.layers.0.mlp.fc1"
PROJECTOR = "model.multi_modal_projector"


def some(name: str, *numbers: int):
    """A family with some of its cases only."""
    family = families((1, 5))[name]
    return {name: replace(family, cases=tuple(family.cases[number] for number in numbers))}


SOME = some("decoder", 1, -1) | some("tower", 0, 3) | some("features", 1) | some("pages", 4)


@pytest.fixture(scope="module")
def real() -> Traces:
    """A few traces of the real model."""
    return trace_all(build=small_port, wanted=SOME)


@pytest.fixture(scope="module")
def whole(real) -> Traces:
    """Traces of all cases, made of the formulas: what the real model would have to show."""
    formulas = small_formulas()
    wanted = families()

    def made(name, claim):
        for case in wanted[name].cases:
            at = {symbol: sp.sympify(size) for symbol, size in case.items()}
            sizes = {I_g: STEP * at.get(q, q)} | ({} if name != "pages" else {I_t: 2 * STEP})
            none = {} if name == "pages" else {n_w: sp.Integer(0), n_h: sp.Integer(0)}
            of_modules = {
                path: sp.expand(formulas[claim][path].xreplace(none).xreplace(sizes).xreplace(at))
                for path in formulas[claim]
                if path in real.modules
            }
            guards = (sp.Ne(q**2, 256),) if name == "features" else ()
            conditions = [
                sp.Ge(symbol, 2) if symbol == size else sp.Eq(symbol, size)
                for symbol, size in case.items()
            ]
            yield Trace(
                at, region([*conditions, *guards]), guards, of_modules, within=wanted[name].within
            )

    return replace(
        real,
        decoder=tuple(made("decoder", Claim.TEXT)),
        tower=tuple(made("tower", Claim.VISION)),
        features=tuple(made("features", Claim.VISION)),
        pages=tuple(made("pages", Claim.PREFILL)),
    )


def changed(claim: Claim, path: str, how):
    """The formulas with one of them changed by hand, and with it all that contain it."""
    formulas = {name: dict(of_modules) for name, of_modules in small_formulas().items()}
    right = formulas[claim][path]
    for module in enclosing(path):
        formulas[claim][module] += how(right) - right
    return formulas


def wrong(proof) -> set[tuple[str, str]]:
    return {(failure.stage, failure.path) for failure in proof.failures if failure.stage}


def complaints(proof) -> list[str]:
    return [failure.where for failure in proof.failures if not failure.stage]


def test_the_real_model_does_what_is_stated(real):
    proof = judge(small_formulas(), real)
    assert not real.errors
    assert wrong(proof) == set()
    assert all("is not covered: there is no trace for" in text for text in complaints(proof))
    assert not proof.covered


DOUBLED = pytest.mark.parametrize("how", [lambda x: 2 * x, lambda x: 0 * x], ids=["2x", "0x"])


@DOUBLED
@pytest.mark.parametrize(
    ("claim", "path"),
    [
        (Claim.TEXT, GATE),
        (Claim.TEXT, EXPERTS),
        (Claim.TEXT, "lm_head"),
        (Claim.DECODE, GATE),
        (Claim.VISION, WINDOWED),
        (Claim.VISION, GLOBAL),
        (Claim.VISION, FC1),
        (Claim.VISION, PROJECTOR),
        (Claim.PREFILL, GATE),
        (Claim.PREFILL, GLOBAL),
    ],
)
def test_a_formula_that_is_doubled_or_dropped(real, claim, path, how):
    proof = judge(changed(claim, path, how), real)
    assert wrong(proof) == {(claim, path)}
    (failure,) = [failure for failure in proof.failures if failure.stage]
    assert path in str(failure)
    assert failure.stated in str(failure)
    assert failure.difference in str(failure)
    assert "traced" in str(failure)


@pytest.mark.parametrize(
    ("claim", "path", "sizes"),
    [
        (Claim.TEXT, GATE, {S: K}),
        (Claim.TEXT, "model.language_model.layers.0.self_attn", {K: S}),
        (Claim.DECODE, "model.language_model.layers.0.self_attn", {K: K + 1}),
        (Claim.VISION, GLOBAL, {I_t: I_g}),
        (Claim.VISION, GLOBAL, {I_t: I_g, I_g: I_t}),
        (Claim.VISION, FC1, {n_w: n_h}),
        (Claim.VISION, PROJECTOR, {I_g: I_g + 64}),
        (Claim.PREFILL, FC1, {n_w: n_h, n_h: n_w**2}),
    ],
)
def test_a_size_that_is_taken_for_another(real, claim, path, sizes):
    proof = judge(changed(claim, path, lambda x: x.xreplace(sizes)), real)
    assert wrong(proof) == {(claim, path)}


def test_traces_of_all_cases_prove_all_modules(whole):
    proof = judge(small_formulas(), whole)
    assert proof.failures == ()
    assert proof.covered
    assert {row.stage: row.certified for row in proof.coverage} == {
        "vision": 40,
        "prefill": 66,
        "prefill of text alone": 28,
        "decode": 28,
    }
    assert all(row.with_work + row.without_work == 90 for row in proof.coverage)
    stated = current_statements(small_formulas())
    assert all(stated[c.stage, c.path] == c.statement for c in proof.certificates)
    by_path = {(c.stage, c.path): c for c in proof.certificates}
    assert by_path["vision", FC1].methods == (SYMBOLIC_SIDE, PAGES)
    assert by_path["vision", FC1].guards == ("Ne(q**2, 256)",)
    assert by_path["vision", GLOBAL].methods == (EVERY_SIDE, PAGES)
    assert by_path["prefill", GATE].methods == (SYMBOLIC, PAGES)
    assert by_path["prefill", ""].methods == (EVERY_SIDE, SYMBOLIC, PAGES)
    assert by_path["decode", GATE].statement == "matrix_flops = 163840*B"


def test_the_proof_as_json_is_the_same_in_every_run(whole):
    one, other = (json.dumps(judge(small_formulas(), whole).as_dict()) for _ in range(2))
    assert one == other


FAMILIES = {"decoder": SYMBOLIC, "tower": EVERY_SIDE, "pages": PAGES, "features": SYMBOLIC_SIDE}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_missing_case_is_refused(whole, name):
    traces = getattr(whole, name)
    for missing in range(0, len(traces), max(1, len(traces) // 4)):
        rest = (*traces[:missing], *traces[missing + 1 :])
        proof = judge(small_formulas(), replace(whole, **{name: rest}))
        assert any(text.startswith(f"{FAMILIES[name]}: ") for text in complaints(proof))
        assert wrong(proof) == set()
        assert not proof.covered
        assert all(FAMILIES[name] not in c.methods for c in proof.certificates)


def test_a_guard_that_no_case_closes_is_refused(whole):
    last = whole.decoder[-1]
    narrow = replace(last, region=last.region & region([sp.Lt(B * S, 1000)]))
    proof = judge(small_formulas(), replace(whole, decoder=(*whole.decoder[:-1], narrow)))
    (text,) = complaints(proof)
    assert text.endswith("there is no trace for B >= 2, S >= 2, K >= 2, B*S >= 1000")


def with_tower(traces: Traces, path: str, extra) -> Traces:
    """Traces in which a module of the tower does more than is stated."""

    def more(trace):
        added, around = extra.xreplace(trace.sizes), set(enclosing(path))
        counted = {p: f + (added if p in around else 0) for p, f in trace.counted.items()}
        return replace(trace, counted=counted)

    return replace(traces, tower=tuple(map(more, traces.tower)))


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        (GLOBAL, B * q**5),
        (GLOBAL, B * ceil_div(q, 5)),
        (WINDOWED, B * q**3),
        (WINDOWED, B * ceil_div(q, 5)),
        (WINDOWED, B**2),
        ("model.vision_tower", B * ceil_div(2 * q, 7)),
    ],
)
def test_what_does_not_grow_as_the_lemma_needs_is_refused(whole, path, extra):
    """Even where formulas and traces agree at all sides, nothing follows for others."""
    formulas = changed(Claim.VISION, path, lambda x: x + extra.xreplace({q: I_g / STEP}))
    proof = judge(formulas, with_tower(whole, path, extra))
    refused = [text for text in complaints(proof) if text.startswith(f"{EVERY_SIDE}: {path}: ")]
    assert len(refused) == 1
    assert not any(EVERY_SIDE in c.methods for c in proof.certificates)


def test_sides_that_formulas_tell_apart_beyond_all_traces(whole):
    """A polynomial that vanishes at all sides of the traces is no quasi-polynomial that passes."""
    zero = B * sp.prod(I_g - STEP * side for side in SIDES)
    proof = judge(changed(Claim.VISION, GLOBAL, lambda x: x + zero), whole)
    assert any(f"{GLOBAL}: what is stated of its own work" in text for text in complaints(proof))


def test_a_formula_of_no_real_module(real):
    formulas = {claim: dict(of_modules) for claim, of_modules in small_formulas().items()}
    formulas[Claim.TEXT]["model.language_model.memory.q_proj.product"] = B
    (failure,) = [f for f in judge(formulas, real).failures if f.stage]
    assert failure.path == "model.language_model.memory.q_proj"
    assert "the real model has no such module" in str(failure)


def only_decoder(how) -> Traces:
    def build():
        model = small_port()
        how(model)
        return model

    return trace_all(build=build, wanted=some("decoder", 1, -1))


def of_decoder(traces: Traces) -> set[str]:
    return {path for stage, path in wrong(judge(small_formulas(), traces)) if stage == Claim.TEXT}


def test_a_module_with_other_sizes():
    def widen(model):
        model.lm_head = nn.Linear(1280, 7, bias=False, dtype=torch.bfloat16)

    assert of_decoder(only_decoder(widen)) == {"lm_head"}


def test_a_module_under_another_name():
    def wrap(model):
        model.model.language_model.layers[0].mlp.gate_proj = nn.Sequential(
            model.model.language_model.layers[0].mlp.gate_proj
        )

    (path,) = of_decoder(only_decoder(wrap))
    assert path == "model.language_model.layers.0.mlp.gate_proj.0"


def test_a_module_that_is_missing():
    def cut(model):
        model.config.text_config.num_hidden_layers = 1
        del model.model.language_model.layers[1]

    paths = of_decoder(only_decoder(cut))
    assert any(path.startswith("model.language_model.layers.1") for path in paths)


def test_an_operator_that_the_counter_does_not_know():
    class Summed(nn.Module):
        def forward(self, x):
            return x.cumsum(-1)

    def act(model):
        model.model.language_model.layers[0].mlp.act_fn = Summed()

    proof = judge(small_formulas(), only_decoder(act))
    assert any("aten.cumsum ran in model.language_model" in text for text in complaints(proof))


def test_code_that_raises_is_a_failure_and_no_crash():
    def lose(model):
        del model.model.language_model.layers[1].mlp.experts

    traces = only_decoder(lose)
    (text,) = traces.errors
    assert text.startswith("decoder and head: transformers ")
    assert "raised AttributeError" in text
    assert "experts" in text
    assert text in complaints(judge(small_formulas(), traces))


def test_a_model_that_cannot_be_made():
    def build():
        raise ImportError("UnlimitedOcrConfig")

    traces = trace_all(build=build)
    assert len(traces.errors) == len(families())
    proof = judge(small_formulas(), traces)
    assert not proof.covered
    assert proof.certificates == ()
    assert sum("UnlimitedOcrConfig" in text for text in complaints(proof)) == len(families())


def test_progress_is_told():
    told = []
    trace_all(lambda *at: told.append(at), build=small_port, wanted=some("features", 0))
    assert told == [("CLIP and projector", 0, 1), ("done", 1, 1)]


@pytest.mark.parametrize("name", FAMILIES)
def test_what_torch_has_in_store_hides_no_assumption(real, name):
    """Torch is silent while it takes the result of an operator from its store."""
    family = SOME[name]
    session = Session(family.hints, small_port)
    session._mode.cache_enabled = False
    for case, known in zip(family.cases, getattr(real, name), strict=True):
        trace = session.trace(case, family.run, inside=family.inside, within=family.within)
        assert (trace.region, trace.guards) == (known.region, known.guards)
        assert trace.counted == known.counted
