"""The verification of bytes as a whole: green on the real model, red on anything broken."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import jsonschema
import pytest
import torch

from symcost.cli import main as program
from symcost.cli.output import section_tables
from symcost.errors import InputError
from symcost.models.deepseek_ocr.workload import Workload
from symcost.render.byte_verification import byte_markdown, byte_sections, byte_summary
from symcost.stages import Stage
from symcost.verify import byte_mutants, byte_verification
from symcost.verify.byte_verification import (
    Bench,
    ByteVerification,
    Peak,
    mutants,
    verify_bytes,
)
from symcost.verify.eager import digest
from symcost.verify.grid import FULL_BYTES, QUICK_BYTES, ByteGrid, page, text

torch.set_num_threads(1)

NOTHING = ByteGrid((), (), (), (), (), ())
TINY = ByteGrid(
    vision=(page(64, 1),),
    prefill=(text(2, 3), text(1, 2, 3)),
    decode=(text(2, 1, 3),),
    experts=(2,),
    peaks=((Stage.PREFILL, text(2, 3)),),
    router=(1, 2),
)
PIECE = text(2, 3, 4)
"""Three tokens of two sequences on four cached ones each."""

COUNT = {"type": "integer", "minimum": 0}
BOTH = {
    "type": "object",
    "properties": {"read": {"type": "integer"}, "written": {"type": "integer"}},
    "required": ["read", "written"],
    "additionalProperties": False,
}


def record(**properties) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def several(schema: dict) -> dict:
    return {"type": "array", "items": schema}


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
SCHEMA = record(
    model={"const": "deepseek-ocr"},
    reference={"const": "transformers"},
    versions=record(symcost=TEXT, torch=TEXT, transformers=TEXT, sympy=TEXT),
    formulas={"type": "string", "pattern": "^[0-9a-f]{64}$"},
    comparisons=COUNT,
    module_paths=COUNT,
    problems=several(TEXT),
    rows=several(record(stage=TEXT, operators=TEXT, runs=COUNT, stated=BOTH, counted=BOTH)),
    remaining=several(
        record(
            reason=TEXT,
            modules=TEXT,
            operators=TEXT,
            times=COUNT,
            bytes=BOTH,
            largest_share={"type": "number", "minimum": 0, "maximum": 1},
        )
    ),
    routing=several(
        record(
            tokens=COUNT,
            draws=COUNT,
            mean=NUMBER,
            confidence=NUMBER,
            half_width=NUMBER,
            expected=NUMBER,
            least=COUNT,
            most=COUNT,
        )
    ),
    peaks=several(
        record(stage=TEXT, sizes=TEXT, path=TEXT, stated=COUNT, measured=COUNT, measured_at=TEXT)
    ),
    mutants=record(made=COUNT, survivors=several(TEXT)),
    grid=record(
        vision=several({"type": "object"}),
        prefill=several({"type": "object"}),
        decode=several({"type": "object"}),
        experts=several(COUNT),
        peaks=several({"type": "object"}),
        router=several(COUNT),
    ),
)


@pytest.fixture(scope="module")
def told() -> list[tuple]:
    return []


@pytest.fixture(scope="module")
def result(told) -> ByteVerification:
    """Mutants are left to the tests of them: they take as long as all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_verification, "mutants", lambda *_: iter([("a: b", True)]))
        return verify_bytes(grid=TINY, progress=lambda *told_: told.append(told_))


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench("deepseek-ocr")


@pytest.fixture(scope="module")
def observation(bench):
    return bench.decode(Stage.PREFILL, PIECE)


@pytest.fixture(scope="module")
def found(bench, observation) -> list[tuple[str, bool]]:
    """The mutants of the decoder, and which of them that run notices."""
    return list(mutants(bench.graphs, [observation]))


@pytest.fixture
def without_mutants(monkeypatch):
    monkeypatch.setattr(byte_verification, "mutants", lambda *_: iter(()))


class TestGreen:
    def test_there_are_no_problems(self, result):
        assert result.problems == []
        assert result.comparisons > 1000
        assert len(result.modules) > 500  # those with bytes of their own
        assert [seen.tokens for seen in result.routing] == [1, 2]
        assert (result.mutants, result.survivors) == (1, [])

    def test_stated_and_counted_differ_by_what_remains(self, result):
        """All rows together: the sum of all declared differences, in each direction."""
        off = {
            way: sum(row.stated[way] - row.counted[way] for row in result.rows.values())
            for way in next(iter(result.rows.values())).stated
        }
        remaining = {
            way: sum(known.bytes[way] for known in result.remaining.values()) for way in off
        }
        assert off == remaining != dict.fromkeys(off, 0)

    def test_rows_are_of_stages_and_classes(self, result):
        assert {stage for stage, _ in result.rows} == {"vision", "prefill", "decode", "experts"}
        assert {row.runs for (stage, _), row in result.rows.items() if stage == "prefill"} <= {1, 2}
        assert result.rows["prefill", "product"].runs == 2
        assert result.rows["experts", "routing"].runs == 1
        product = result.rows["experts", "product"]
        assert product.stated == product.counted

    @pytest.mark.usefixtures("result")
    def test_progress_is_told(self, told):
        done = [number for _, number, _ in told]
        assert done == sorted(done)
        assert told[-1] == ("done", 8, 8)  # five runs, a peak, the router and the mutants
        assert {total for _, _, total in told} == {8}

    def test_its_object_has_one_shape(self, result):
        found = json.loads(json.dumps(result.as_dict()))
        jsonschema.validate(found, SCHEMA)
        assert found["grid"]["experts"] == [2]
        assert found["grid"]["decode"] == [text(2, 1, 3).as_dict()]
        two = found["routing"][1]
        # Two tokens: 64 (1 - (58/64)²) = 183/16 experts, of 6 to 12.
        assert (two["expected"], two["least"], two["most"]) == (11.4375, 6, 12)
        assert abs(two["mean"] - two["expected"]) <= two["half_width"]

    def test_it_is_shown_with_every_row(self, result):
        found = result.as_dict()
        shown = byte_markdown(found)
        sections = byte_sections(found)
        assert [len(s.rows) for s in sections] == [
            len(found[name]) for name in ("rows", "remaining", "routing", "peaks")
        ]
        for section in sections:
            assert f"**{section.title}**" in shown
            for row in section.rows:
                assert "| " + " | ".join(row) + " |" in shown
                assert len(row) == len(section.columns)
        first, second = byte_summary(found)
        assert "problems: 0 (" in first
        assert second == "1 reads and writes made wrong on purpose: 0 unnoticed"
        assert section_tables(byte_sections(found), byte_summary(found)).renderables


def twice(operation):
    return replace(operation, writes=operation.writes * 2)


class TestRed:
    @pytest.mark.usefixtures("without_mutants")
    def test_the_first_run_that_differs_ends_it(self, change_rule):
        grid = replace(NOTHING, prefill=(text(2, 3), text(2, 4)), router=(1,))
        change_rule("top_k", lambda rule: replace(rule, out=(rule.out[0], rule.out[0])))
        found = verify_bytes(grid=grid)
        assert {row.runs for row in found.rows.values()} == {1}
        assert found.routing == []
        # Eleven routers write 6 experts' numbers in int64: 2 x 3 tokens, 8 bytes instead of 4.
        assert len(found.problems) == 11
        assert found.problems[0].startswith(
            "model.language_model.layers.1.mlp.gate: bytes written by choice: stated 288 "
            "(top_k top_k 288), counted 432 (aten.topk 432), difference -144 ("
        )

    @pytest.mark.usefixtures("without_mutants")
    def test_a_router_that_does_something_else(self, monkeypatch, result):
        seen = result.routing[1]
        fewer = replace(seen, mean=seen.mean - Fraction(1, 2))
        monkeypatch.setattr(Bench, "touched", lambda *_: (seen, fewer))
        (problem,) = verify_bytes(grid=replace(NOTHING, router=(2,))).problems
        assert problem == str(fewer)

    def test_a_peak_that_is_not_near(self, monkeypatch, result):
        """Within a twentieth of what is measured, above or below it."""
        (right,) = result.peaks
        assert right.is_near
        near = {
            stated: replace(right, stated=stated, measured=1000).is_near
            for stated in (949, 950, 1000, 1050, 1051)
        }
        assert near == {949: False, 950: True, 1000: True, 1050: True, 1051: False}
        wrong = replace(right, stated=2 * right.measured)
        monkeypatch.setattr(Bench, "peak", lambda *_: wrong)
        monkeypatch.setattr(Bench, "touched", lambda *_: ())
        monkeypatch.setattr(byte_verification, "mutants", lambda *_: iter(()))
        (problem,) = verify_bytes(grid=replace(NOTHING, peaks=TINY.peaks)).problems
        assert problem == str(wrong)
        assert isinstance(wrong, Peak)
        for told in (wrong.path, wrong.place, f"{wrong.stated:,}", f"{wrong.measured:,}"):
            assert told in problem

    def test_an_unknown_model(self):
        with pytest.raises(InputError, match="model is 'gpt-5'; allowed: deepseek-ocr"):
            verify_bytes("gpt-5", grid=TINY)

    def test_the_fingerprint_changes_with_a_byte(self, bench):
        step = (Stage.DECODE, False)
        *others, head = bench.graphs[step]
        before = digest({step: (*others, head)})
        assert digest({step: bench.graphs[step]}) == before
        for of in (replace(head, operations=[]), byte_mutants._changed(head, "linear", twice)):
            assert digest({step: (*others, of)}) != before


class TestMutants:
    """Of a run that has all operators of the decoder but those of its experts."""

    IN_EXPERTS = ("sort_by_expert", "dispatch", "grouped_linear", "weigh", "combine")
    """Rules that run in routed experts only, which this run leaves out."""

    def test_every_one_is_noticed(self, found):
        unnoticed = {name for name, noticed in found if not noticed}
        assert {name.partition(":")[0] for name in unnoticed} == set(self.IN_EXPERTS)
        assert len(found) > 100

    def test_each_read_and_write_of_each_rule_is_made_wrong(self, bench, found):
        names = {name for name, _ in found}
        assert len(names) == len(found)
        rules = {
            op.operator for graph in bench.graphs[Stage.PREFILL, False] for op in graph.operations
        }
        assert {name.partition(":")[0] for name in names} == rules
        # A product without bias reads rows and weights.
        assert {name for name in names if name.startswith("linear: ")} == {
            *(f"linear: read {i} {how}" for i in (0, 1) for how in ("doubled", "dropped")),
            *(f"linear: write 0 {how}" for how in ("doubled", "dropped")),
            "linear: reads and writes swapped",
        }
        # The cache is written as what was there before, and as what is new.
        assert "cache_append: write 1 dropped" in names
        assert "sort_by_expert: scratch doubled" in names

    @pytest.fixture
    def only(self, bench, observation, monkeypatch):
        """Leaves only the changes of some rules."""
        changes = list(byte_mutants._changes(bench.graphs[observation.key]))

        def of(*rules: str) -> None:
            left = [change for change in changes if change[0] in rules]
            monkeypatch.setattr(byte_mutants, "_changes", lambda _: left)

        return of

    def test_experts_are_noticed_where_they_run(self, bench, only):
        only(*self.IN_EXPERTS, "cache_append")
        for name, noticed in mutants(bench.graphs, [bench.route(2)]):
            assert noticed == (not name.startswith("cache_append"))

    def test_a_comparison_that_is_blind_lets_them_through(
        self, bench, observation, only, monkeypatch
    ):
        right = byte_mutants.disagreeing

        def blind(*given):
            return [key for key in right(*given) if key[1] != "choice"]

        only("top_k")
        monkeypatch.setattr(byte_mutants, "disagreeing", blind)
        survivors = {name for name, seen in mutants(bench.graphs, [observation]) if not seen}
        assert survivors == {
            *(f"top_k: read 0 {how}" for how in ("doubled", "dropped")),
            *(f"top_k: write {i} {how}" for i in (0, 1) for how in ("doubled", "dropped")),
        }

    def test_survivors_make_the_verification_fail(self, monkeypatch):
        made = [("linear: read 0 doubled", True), ("linear: read 1 doubled", False)]
        monkeypatch.setattr(byte_verification, "mutants", lambda *_: iter(made))
        monkeypatch.setattr(Bench, "touched", lambda *_: ())
        result = verify_bytes(grid=NOTHING)
        assert result.problems == ["a wrong formula went unnoticed: linear: read 1 doubled"]
        assert result.as_dict()["mutants"] == {"made": 2, "survivors": ["linear: read 1 doubled"]}


class TestProgram:
    ARGUMENTS = ("verify", "deepseek-ocr", "--bytes")

    def run(self, capsys, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            program.main(list(arguments))
        printed = capsys.readouterr()
        return leaving.value.code, printed.out, printed.err

    @pytest.fixture
    def grids(self, monkeypatch, result):
        """Notes the grid that is asked for, and gives what was found on the small one."""
        asked = []

        def verified(model, *, grid, progress):
            asked.append(grid)
            return result

        monkeypatch.setattr(byte_verification, "verify_bytes", verified)
        return asked

    @pytest.mark.parametrize(
        ("arguments", "grid"),
        [((), FULL_BYTES), (("--quick",), QUICK_BYTES)],
        ids=["full", "quick"],
    )
    def test_the_grid_is_the_one_that_is_asked_for(self, capsys, grids, arguments, grid):
        code, out, err = self.run(capsys, *self.ARGUMENTS, *arguments)
        assert (code, err) == (0, "")
        assert grids == [grid]
        assert "problems: 0 (" in " ".join(out.split())

    @pytest.mark.usefixtures("grids")
    def test_json_and_markdown(self, capsys, result):
        code, out, _ = self.run(capsys, *self.ARGUMENTS, "--format", "json")
        assert (code, json.loads(out)) == (0, json.loads(json.dumps(result.as_dict())))
        code, out, _ = self.run(capsys, *self.ARGUMENTS, "--format", "markdown")
        assert (code, out) == (0, byte_markdown(result.as_dict()))

    @pytest.mark.usefixtures("grids")
    def test_problems_leave_with_1(self, capsys, monkeypatch, result):
        monkeypatch.setattr(result, "problems", ["one", "two"])
        code, _, err = self.run(capsys, *self.ARGUMENTS)
        assert (code, err) == (1, "error: one\nerror: two\n")

    def test_a_target_is_refused(self, capsys, grids):
        code, out, err = self.run(capsys, *self.ARGUMENTS, "--target", "core")
        assert (code, out) == (2, "")
        assert err == "error: --bytes excludes --target; it is of the whole model\n"
        assert grids == []

    def test_bad_input_is_told_before_the_work(self, capsys, grids, tmp_path):
        assert self.run(capsys, "verify", "foo", "--bytes")[0] == 2
        assert self.run(capsys, *self.ARGUMENTS, "-o", str(tmp_path))[0] == 2
        assert grids == []


class TestGrids:
    def test_the_full_one_is_wide(self):
        assert {w.batch for w in FULL_BYTES.vision} >= {1, 2, 8}
        assert len({w.views.base_size for w in FULL_BYTES.vision}) >= 32
        assert {1, 1203} <= {w.context_len for w in FULL_BYTES.prefill if w.views is None}
        assert {0, 4096} <= {w.cached for w in FULL_BYTES.decode}
        assert {w.batch for w in FULL_BYTES.decode} == {1, 2, 8}
        assert {1, 300} <= set(FULL_BYTES.experts)
        assert {stage for stage, _ in FULL_BYTES.peaks} == set(Stage)

    def test_the_quick_one_has_some_of_each(self):
        for name, workloads in vars(QUICK_BYTES).items():
            assert 0 < len(workloads) < len(getattr(FULL_BYTES, name))

    def test_a_grid_is_shown_by_its_sizes(self):
        found = QUICK_BYTES.as_dict()
        assert [len(each) for each in found.values()] == [
            len(each) for each in vars(QUICK_BYTES).values()
        ]
        (stage, workload), *_ = QUICK_BYTES.peaks
        assert isinstance(workload, Workload)
        assert found["peaks"][0] == {"stage": stage.value, **workload.as_dict()}
