"""Traces of small modules: counts as formulas, guards as domains, and what is refused."""

from __future__ import annotations

import pytest
import sympy as sp
import torch
from torch import nn
from torch.utils._sympy.functions import FloorDiv, Max, Mod, PythonMod

from symcost.symbols import B, K, S
from symcost.trace.domain import gap, region, whole
from symcost.trace.symbolic import Session, TraceError, translated

torch.set_num_threads(1)

THEIRS = sp.Symbol("s7", integer=True, positive=True)
NAMES = {THEIRS: S}


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 5)


def run(how):
    return lambda model, sizes: how(model, sizes[S])


def rows(model, count):
    return model.linear(torch.zeros(count, 3))


def session(**hints) -> Session:
    return Session({S: 9} | hints, Toy)


def test_a_count_is_a_formula_at_every_module():
    trace = session().trace({S: S}, run(rows))
    assert trace.counted == {"": 30 * S, "linear": 30 * S}
    assert trace.guards == ()
    assert str(trace.region) == "S >= 2"
    assert trace.undeclared == ()


def test_sizes_that_are_given_are_numbers():
    trace = session().trace({S: 1, K: 0}, run(rows))
    assert trace.of("linear") == 30
    assert str(trace.region) == "S = 1, K = 0"


def test_parts_of_a_size_are_translated_exactly():
    def half(model, count):
        return rows(model, count // 2)

    trace = session().trace({S: S}, run(half))
    assert trace.of("linear") == 30 * sp.floor(S / 2)
    assert [trace.of("linear").subs(S, size) for size in (2, 3, 9)] == [30, 30, 120]


def test_what_the_code_assumes_of_a_size_is_its_domain():
    def short(model, count):
        return rows(model, count if count > 5 else 2 * count)

    trace = session().trace({S: S}, run(short))
    assert trace.guards == (sp.Gt(S, 5),)
    missing = gap(whole([S]), [trace.region])
    assert str(missing) == "1 <= S <= 5"


def test_a_size_that_the_code_fixes_leaves_a_gap():
    def fixed(model, count):
        return rows(model, int(count))

    trace = session().trace({S: S}, run(fixed))
    assert trace.of("linear") == 270
    assert gap(whole([S]), [trace.region]) is not None


def test_guards_of_earlier_traces_hold_for_later_ones():
    """Torch notes a guard once in a session."""
    shared = session()

    def short(model, count):
        return rows(model, count if count > 5 else 2 * count)

    first, second = (shared.trace({S: S}, run(short)) for _ in range(2))
    assert first.guards == second.guards == (sp.Gt(S, 5),)


def test_a_node_without_exact_translation_is_refused():
    def longer(model, count):
        return rows(model, torch.sym_max(count, 7))

    with pytest.raises(TraceError, match="Max"):
        session().trace({S: S}, run(longer))


def test_a_guard_that_does_not_come_apart_is_kept_whole():
    def by_three(model, count):
        return rows(model, count if count % 3 == 0 else 2 * count)

    trace = session().trace({S: S}, run(by_three))
    remainder = S - 3 * sp.floor(S / 3)
    assert trace.guards == (sp.Eq(remainder, 0),)
    others = region([sp.Ge(remainder, 1)])
    known = whole([S]) & region([sp.Ge(S, 2), sp.Ge(remainder, 0)])
    assert gap(known, [trace.region]) is not None
    assert gap(known, [trace.region, others]) is None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (FloorDiv(THEIRS + 1, 4), sp.floor((S + 1) / 4)),
        (Mod(THEIRS, 14), S - 14 * sp.floor(S / 14)),
        (PythonMod(THEIRS, 14), S - 14 * sp.floor(S / 14)),
        (Mod(1024 * THEIRS**2 + 1024, 64 * THEIRS**2 + 64, evaluate=False), sp.Integer(0)),
        (sp.Eq(THEIRS**2, 256), sp.Eq(S**2, 256)),
        (3 * THEIRS**2 - 5, 3 * S**2 - 5),
    ],
    ids=str,
)
def test_translation(theirs, ours):
    assert translated(theirs, NAMES) == ours


@pytest.mark.parametrize(
    "theirs",
    [Max(THEIRS, 5), 1 / THEIRS, THEIRS / 2, sp.sqrt(THEIRS), sp.Symbol("u0"), sp.Float(1.5)],
    ids=str,
)
def test_nothing_is_guessed(theirs):
    with pytest.raises(TraceError):
        translated(theirs, NAMES)


def test_an_operator_that_the_counter_passes_over_is_told():
    def summed(model, count):
        return rows(model, count).cumsum(0)

    (gap_,) = session().trace({S: S}, run(summed)).undeclared
    assert "aten.cumsum" in gap_


def test_a_model_with_values_is_refused():
    real = Toy()
    with pytest.raises(TraceError, match=r"linear\.weight is a real tensor"):
        Session({B: 5}, lambda: real)
