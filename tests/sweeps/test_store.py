"""Files of sweeps: exact, resumable at every moment, and never over what is not ours."""

import csv
import itertools
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symcost.errors import InputError
from symcost.numeric.boxes import Box
from symcost.sweeps.block import Block
from symcost.sweeps.files.journal import Journal
from symcost.sweeps.files.store import Column, Coordinate, Description, open_store
from symcost.sweeps.files.tables import read_table
from tests.sweeps.interrupted import block, description, write

pq = pytest.importorskip("pyarrow.parquet")
xr = pytest.importorskip("xarray")

ROOT = Path(__file__).parents[2]
DIRECTORIES = ("parquet", "zarr")
EVERY = (*DIRECTORIES, "csv", "nc")


def snapshot(folder):
    """All that is in a folder: names, contents and times."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            None if path.is_dir() else path.read_bytes(),
        )
        for path in (folder, *folder.rglob("*"))
    }


def contents(output):
    """The files of an output, without what keeps the books."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file() and path.name != "_symcost.sqlite"
    }


def refused(folder, match, act):
    before = snapshot(folder)
    with pytest.raises(InputError, match=match):
        act()
    assert snapshot(folder) == before


def linked(file, folder):
    """Move a file of a sweep elsewhere, and leave a link to it."""
    file.rename(folder.parent / "elsewhere")
    file.symlink_to(folder.parent / "elsewhere")


def begun(path, what=None, chunks=2):
    """An output of which some chunks are there."""
    what = what or description()
    with open_store(path, what) as store:
        for index in range(chunks):
            store.write(index, block(what, index))
    return path


def write_zeros(path, what):
    with open_store(path, what) as store:
        for index, box in enumerate(what.boxes):
            store.write(index, Block(box, None, {"flops": np.zeros(box.size, np.int64)}))


def mixed(filtered=False):
    """A grid of batch by a zipped axis with texts, by an axis in pieces of two."""
    axes = (
        (Coordinate("batch", np.array([1, 2**62]), "Sequences.", "1"),),
        (
            Coordinate("mode", ["base", 'a "quoted", ü', ""], "Mode.", ""),
            Coordinate("cached", np.array([5, 5, 6]), "Tokens before.", "token"),
        ),
        (Coordinate("new_tokens", np.arange(10, 15), "Steps.", "token"),),
    )
    boxes = tuple(
        Box((one, two, at), (one + 1, two + 1, min(at + 2, 5)), (one * 3 + two) * 5 + at)
        for one, two, at in itertools.product(range(2), range(3), (0, 2, 4))
    )
    columns = (
        Column("vision.flops", np.dtype(np.int64), "Work.", "FLOP"),
        Column("seconds", np.dtype(np.float64), "Time.", "s"),
    )
    return Description(axes, columns, boxes, filtered, {"model": "deepseek-ocr", "filter": None})


def row(flat):
    """A row of it, worked out in plain Python."""
    one, rest = divmod(flat, 15)
    two, three = divmod(rest, 5)
    mode, cached = [("base", 5), ('a "quoted", ü', 5), ("", 6)][two]
    return [1, 2**62][one], mode, cached, 10 + three, 2**63 - 1 - flat, flat / 3


def write_mixed(path, keep=None):
    what = mixed(keep is not None)
    with open_store(path, what) as store:
        for index, box in enumerate(what.boxes):
            every = range(box.first, box.first + box.size)
            flat = [at for at in every if keep is None or at in keep]
            columns = {
                "vision.flops": np.array([row(at)[4] for at in flat], np.int64),
                "seconds": np.array([row(at)[5] for at in flat], np.float64),
            }
            indices = None if keep is None else np.array(flat, np.int64)
            store.write(index, Block(box, indices, columns))


class TestContents:
    @settings(max_examples=10)
    @given(st.one_of(st.none(), st.sets(st.integers(0, 29), max_size=8)))
    def test_rows_are_in_flat_order(self, tmp_path_factory, keep):
        folder = tmp_path_factory.mktemp("rows")
        for suffix in ("parquet", "csv"):
            write_mixed(folder / f"out.{suffix}", keep)
        expected = [row(at) for at in range(30) if keep is None or at in keep]
        table = pq.read_table(folder / "out.parquet")
        assert list(zip(*(column.to_pylist() for column in table), strict=True)) == expected
        with (folder / "out.csv").open(newline="", encoding="utf-8") as file:
            names, *rows = csv.reader(file)
        assert names == table.column_names
        made = [(int(a), b, int(c), int(d), int(e), float(f)) for a, b, c, d, e, f in rows]
        assert made == expected

    def test_a_part_may_have_no_rows(self, tmp_path):
        write_mixed(tmp_path / "out.parquet", {3})
        parts = sorted((tmp_path / "out.parquet").glob("part-*.parquet"))
        assert [pq.read_metadata(part).num_rows for part in parts] == [0, 1] + 16 * [0]
        assert pq.read_table(parts[0]).schema == pq.read_table(parts[1]).schema

    def test_fields_of_parquet_have_units(self, tmp_path):
        write_mixed(tmp_path / "out.parquet")
        schema = pq.read_table(tmp_path / "out.parquet").schema
        assert schema.field("vision.flops").metadata == {
            b"units": b"FLOP",
            b"description": b"Work.",
        }
        assert schema.field("cached").metadata[b"units"] == b"token"
        assert json.loads(schema.metadata[b"symcost"])["model"] == "deepseek-ocr"

    @pytest.mark.parametrize("suffix", ["zarr", "nc"])
    def test_grids_open_as_datasets(self, tmp_path, suffix):
        write_mixed(tmp_path / f"out.{suffix}")
        if suffix == "zarr":
            made = xr.open_zarr(tmp_path / "out.zarr").load()
        else:
            made = xr.load_dataset(tmp_path / "out.nc", engine="h5netcdf")
        assert dict(made.sizes) == {"batch": 2, "point": 3, "new_tokens": 5}
        assert set(made.coords) == {"batch", "mode", "cached", "new_tokens"}
        assert made["mode"].dims == made["cached"].dims == ("point",)
        for name, dtype in {
            "vision.flops": "int64",
            "seconds": "float64",
            "batch": "int64",
        }.items():
            assert made[name].dtype == dtype
        assert made["vision.flops"].attrs == {"units": "FLOP", "description": "Work."}
        assert made["cached"].attrs == {"units": "token", "description": "Tokens before."}
        for flat, place in enumerate(itertools.product(range(2), range(3), range(5))):
            one, two, three = place
            found = (made["batch"][one], made["mode"][two], made["cached"][two])
            found += (
                made["new_tokens"][three],
                made["vision.flops"][place],
                made["seconds"][place],
            )
            assert tuple(value.item() for value in found) == row(flat)

    def test_a_chunk_of_zeros_is_written(self, tmp_path):
        what = description()
        with open_store(tmp_path / "out.zarr", what) as store:
            store.write(0, Block(what.boxes[0], None, {"flops": np.zeros(3, np.int64)}))
        with open_store(tmp_path / "out.zarr", what, resume=True) as store:
            assert store.finished == {0}

    @pytest.mark.parametrize("suffix", EVERY)
    def test_a_sweep_may_be_one_point(self, tmp_path, suffix):
        columns = (Column("flops", np.dtype(np.int64), "Work.", "FLOP"),)
        what = Description((), columns, (Box((), (), 0),), False, {})
        with open_store(tmp_path / f"out.{suffix}", what) as store:
            store.write(0, Block(what.boxes[0], None, {"flops": np.array([7])}))
        if suffix == "zarr":
            assert xr.open_zarr(tmp_path / "out.zarr")["flops"].item() == 7

    @pytest.mark.parametrize("suffix", EVERY)
    @pytest.mark.parametrize("values", [np.ones(3), np.ones(2, np.int64), np.ones(3, np.int32)])
    def test_nothing_is_cast(self, tmp_path, suffix, values):
        what = description()
        with (
            pytest.raises(TypeError, match="stated: int64"),
            open_store(tmp_path / f"out.{suffix}", what) as store,
        ):
            store.write(0, Block(what.boxes[0], None, {"flops": values}))
        assert suffix in DIRECTORIES or not list(tmp_path.iterdir())

    def test_names_are_different(self):
        what = mixed()
        for name in ("batch", "mode", "point", "seconds"):
            with pytest.raises(InputError, match=f"two columns are called {name}"):
                replace(what, columns=(*what.columns, replace(what.columns[0], name=name)))

    def test_chunks_of_zarr_are_a_regular_grid(self, tmp_path):
        what = description()
        uneven = (Box((0, 0), (1, 1), 0), Box((0, 1), (1, 4), 1))
        with pytest.raises(ValueError, match="no chunk of a grid"):
            open_store(tmp_path / "out.zarr", replace(what, boxes=uneven))


class TestInterruption:
    @pytest.mark.parametrize(
        ("suffix", "overwrite"), [("parquet", False), ("zarr", False), ("parquet", True)]
    )
    def test_a_kill_at_any_step_loses_nothing(self, tmp_path, suffix, overwrite):
        whole = tmp_path / f"whole.{suffix}"
        write(whole, description())
        (tmp_path / "each").mkdir()
        told = (*(["overwrite"] if overwrite else ()),)
        job = (sys.executable, "-m", "tests.sweeps.interrupted", "each", tmp_path / "each", suffix)
        subprocess.run([*job, *told], cwd=ROOT, check=True)
        folders = list((tmp_path / "each").iterdir())
        assert len(folders) > 20
        stages = set()
        for folder in folders:
            assert contents(folder / f"out.{suffix}") == contents(whole)
            lines = [line.split(maxsplit=1) for line in (folder / "log").read_text().splitlines()]
            opened = [at for at, (word, _) in enumerate(lines) if word == "finished"]
            last = opened[-1]
            before = {int(rest) for word, rest in lines[:last] if word == "wrote"}
            after = {int(rest) for word, rest in lines[last:] if word == "wrote"}
            finished = set(json.loads(lines[last][1]))
            assert before <= finished
            assert after == set(range(4)) - finished
            if (
                folder / "old"
            ).exists():  # What was to be replaced is whole as long as it is there.
                assert (folder / "old").read_text() == "finished [0, 1, 2, 3]\n"
            stages.add(len(finished))
        assert stages == {0, 1, 2, 3, 4}

    @pytest.mark.parametrize("suffix", DIRECTORIES)
    def test_what_a_kill_leaves_behind_is_overwritten(self, tmp_path, suffix):
        write(tmp_path / f"whole.{suffix}", description())
        path = begun(tmp_path / f"out.{suffix}")
        name = {"parquet": "part-000002.parquet", "zarr": "flops/c/1/0"}[suffix]
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(b"torn")
        (path / name).with_name(f".{Path(name).name}.partial").write_bytes(b"torn, too")
        write(path, description(), resume=True)
        assert contents(path) == contents(tmp_path / f"whole.{suffix}")

    def test_a_torn_entry_of_the_journal_is_none(self, tmp_path):
        path = begun(tmp_path / "out.parquet")
        # Rows that go beyond the cache reach the file before the commit, which never comes.
        tear = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN")
for chunk in range(2, 500):
    database.execute("INSERT INTO finished VALUES (?, ?)", (chunk, "0" * 1000))
os._exit(0)
"""
        before = (path / "_symcost.sqlite").stat().st_size
        subprocess.run([sys.executable, "-c", tear, path / "_symcost.sqlite"], check=True)
        assert (path / "_symcost.sqlite").stat().st_size > 10 * before
        assert (path / "_symcost.sqlite-journal").stat().st_size
        with open_store(path, description(), resume=True) as store:
            assert store.finished == {0, 1}

    def test_one_process_writes_at_a_time_and_a_killed_one_lets_go(self, tmp_path):
        path = tmp_path / "out.parquet"
        job = (sys.executable, "-m", "tests.sweeps.interrupted", "hold", path)
        with subprocess.Popen(job, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "held\n"
            for how in ({"resume": True}, {"overwrite": True}):
                refused(
                    tmp_path,
                    "is being written by another process",
                    lambda how=how: open_store(path, description(), **how),
                )
            process.send_signal(signal.SIGKILL)
        with open_store(path, description(), resume=True) as store:
            assert store.finished == {0}
            with pytest.raises(InputError, match="is being written"):
                open_store(path, description(), resume=True)

    @pytest.mark.parametrize("suffix", DIRECTORIES)
    def test_what_is_finished_is_left_as_it_is(self, tmp_path, suffix):
        path = begun(tmp_path / f"out.{suffix}", chunks=4)
        before = snapshot(tmp_path)
        with open_store(path, description(), resume=True) as store:
            assert store.finished == {0, 1, 2, 3}
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize("suffix", DIRECTORIES)
    def test_resuming_begins_where_nothing_is(self, tmp_path, suffix):
        write(tmp_path / "new" / f"out.{suffix}", description(), resume=True)
        write(tmp_path / f"whole.{suffix}", description())
        assert contents(tmp_path / "new" / f"out.{suffix}") == contents(
            tmp_path / f"whole.{suffix}"
        )

    @pytest.mark.parametrize("suffix", ["csv", "nc"])
    def test_single_files_are_whole_or_not_there(self, tmp_path, suffix):
        def interrupted():
            with open_store(tmp_path / f"out.{suffix}", description()) as store:
                for index in range(4):
                    store.write(index, block(description(), index))
                raise ZeroDivisionError

        def incomplete():
            with open_store(tmp_path / f"out.{suffix}", description()) as store:
                store.write(0, block(description(), 0))

        with pytest.raises(ZeroDivisionError):
            interrupted()
        with pytest.raises(ValueError, match="1 of 4 chunks"):
            incomplete()
        assert not list(tmp_path.iterdir())


class TestRefusals:
    @pytest.mark.parametrize("suffix", EVERY)
    def test_what_exists_is_kept_unless_told(self, tmp_path, suffix):
        write(tmp_path / f"out.{suffix}", description())
        refused(tmp_path, "exists", lambda: open_store(tmp_path / f"out.{suffix}", description()))

    @pytest.mark.parametrize("suffix", EVERY)
    def test_an_output_is_replaced_when_told(self, tmp_path, suffix):
        path = tmp_path / f"out.{suffix}"
        write(path, description(length=9, identity="old"))
        write(path, description(), overwrite=True)
        write(tmp_path / f"new.{suffix}", description())
        assert {path.name for path in tmp_path.iterdir()} == {f"out.{suffix}", f"new.{suffix}"}
        if suffix in DIRECTORIES:
            assert contents(path) == contents(tmp_path / f"new.{suffix}")
        elif suffix == "csv":
            assert path.read_bytes() == (tmp_path / "new.csv").read_bytes()
        else:
            assert xr.load_dataset(path).identical(xr.load_dataset(tmp_path / "new.nc"))

    @pytest.mark.parametrize("suffix", DIRECTORIES)
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: shutil.rmtree(path) or path.mkdir(),
            lambda path: shutil.rmtree(path) or path.write_text("a file of someone else"),
            lambda path: (path / "_symcost.json").unlink(),
            lambda path: (path / "_symcost.json").write_bytes(b"\xff{"),
            lambda path: (path / "_symcost.json").write_text("[]"),
            lambda path: (path / "_symcost.json").write_text('{"format": "another"}'),
            lambda path: (path / "notes.txt").write_text("mine"),
            lambda path: (path / "part-000099.parquet").write_text("mine"),
            lambda path: (
                (path / "flops").mkdir(exist_ok=True)
                or (path / "flops" / "notes").write_text("mine")
            ),
            lambda path: (
                path / {".zarr": "part-000000.parquet"}.get(path.suffix, "zarr.json")
            ).write_text("mine"),
            lambda path: linked(next(path.glob("part-000001.parquet"), path / "zarr.json"), path),
        ],
    )
    def test_a_directory_that_is_not_ours_is_not_touched(self, tmp_path, suffix, spoil):
        path = begun(tmp_path / f"out.{suffix}")
        spoil(path)
        for how in ({"resume": True}, {"overwrite": True}):
            refused(
                tmp_path,
                "no output of a sweep .*; name another place, or remove it",
                lambda how=how: open_store(path, description(), **how),
            )

    def test_a_manifest_that_was_changed_is_refused(self, tmp_path):
        path = begun(tmp_path / "out.parquet") / "_symcost.json"
        whole = path.read_bytes()
        act = lambda: open_store(path.parent, description(), resume=True)  # noqa: E731
        for at in range(0, len(whole), 3):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            try:
                act().__exit__(None)
            except InputError as error:
                assert "no output of a sweep" in str(error)  # noqa: PT017
            else:
                # White space is all that may differ.
                assert json.loads(path.read_bytes()) == json.loads(whole)
        for at in range(0, len(whole) - 2, 7):
            path.write_bytes(whole[:at])
            refused(tmp_path, "no output of a sweep", act)

    @pytest.mark.parametrize("suffix", DIRECTORIES)
    @pytest.mark.parametrize(
        ("other", "entry"),
        [
            (description(identity="two"), r"identity.model is \"one\" there and \"two\" here"),
            (description(length=3), r"the values of axis context_len differ; nothing was changed"),
            (
                description(("flops", "bytes"), identity="two"),
                r"columns is \[\"flops\"\] there and \[\"flops\", \"bytes\"\] here",
            ),
            (
                replace(description(), axes=description().axes[:1], boxes=(Box((0,), (2,), 0),)),
                r"axes is \[\[\"batch\"\], \[\"context_len\"\]\] there and \[\[\"batch\"\]\] here",
            ),
            (replace(description(), identity={}), r"identity.model is only there"),
            (
                replace(description(), boxes=description().boxes[:2]),
                r"chunks is 4 there and 2 here",
            ),
            (replace(description(), filtered=True), r"filtered is false there and true here"),
            (description(("bytes",), identity="two"), r"columns\[0\].name is \"flops\" there"),
        ],
    )
    def test_another_sweep_is_named(self, tmp_path, suffix, other, entry):
        if other.filtered and suffix == "zarr":
            pytest.skip("filters leave no grid")
        path = begun(tmp_path / f"out.{suffix}")
        refused(tmp_path, f"another sweep: {entry}", lambda: open_store(path, other, resume=True))

    def test_the_order_of_a_manifest_does_not_matter(self, tmp_path):
        """Identity came first once."""
        path = begun(tmp_path / "out.parquet")
        manifest = json.loads((path / "_symcost.json").read_bytes())
        older = {"identity": manifest.pop("identity"), **manifest}
        (path / "_symcost.json").write_text(json.dumps(older))
        with open_store(path, description(), resume=True) as store:
            assert store.finished == {0, 1}
        other = description(("bytes",), identity="two")
        told = r"columns\[0\].name is .*; --overwrite begins anew"
        refused(tmp_path, told, lambda: open_store(path, other, resume=True))

    @pytest.mark.parametrize("suffix", DIRECTORIES)
    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: content[:-1],
            lambda content: content[:0],
            lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:],
            None,
        ],
    )
    def test_a_damaged_file_is_named(self, tmp_path, suffix, damage):
        path = begun(tmp_path / f"out.{suffix}")
        names = {"parquet": ["part-000001.parquet"], "zarr": ["flops/c/0/1", "batch/zarr.json"]}
        for name in names[suffix]:
            whole = (path / name).read_bytes()
            if damage is None:
                (path / name).unlink()
            else:
                (path / name).write_bytes(damage(whole))
            refused(
                tmp_path,
                f"{name} is (missing|not as it was written); .*; --overwrite begins anew",
                lambda: open_store(path, description(), resume=True),
            )
            if name != names[suffix][-1]:
                (path / name).write_bytes(whole)
        write(path, description(), overwrite=True)
        write(path, description(), resume=True)

    @pytest.mark.parametrize("content", [None, b"", b"no database, but some text" * 99])
    def test_a_damaged_journal_is_named(self, tmp_path, content):
        path = begun(tmp_path / "out.parquet")
        if content is None:
            (path / "_symcost.sqlite").unlink()
        else:
            (path / "_symcost.sqlite").write_bytes(content)
        for how in ({"resume": True}, {"overwrite": True}):
            refused(
                tmp_path,
                "_symcost.sqlite (cannot be used|is missing).*; remove the directory to begin anew",
                lambda how=how: open_store(path, description(), **how),
            )

    @pytest.mark.parametrize("suffix", DIRECTORIES)
    @pytest.mark.parametrize("entry", [(99, ["0"]), (2, []), (2, ["0", "0"]), (-1, ["0"])])
    def test_an_entry_of_no_chunk_is_refused(self, tmp_path, suffix, entry):
        path = begun(tmp_path / f"out.{suffix}")
        with Journal(path / "_symcost.sqlite") as journal:
            journal.add(*entry)
        refused(
            tmp_path,
            "sqlite tells of no chunk .*; --overwrite begins anew",
            lambda: open_store(path, description(), resume=True),
        )
        write(path, description(), overwrite=True)

    def test_a_filter_leaves_no_grid(self, tmp_path):
        for suffix in ("zarr", "nc"):
            refused(
                tmp_path,
                "allowed with filters: FILE.parquet, FILE.csv",
                lambda suffix=suffix: open_store(tmp_path / f"out.{suffix}", mixed(filtered=True)),
            )

    def test_points_that_are_alike_have_no_place_in_a_grid(self, tmp_path):
        columns = (Column("flops", np.dtype(np.int64), "Work.", "FLOP"),)
        boxes = (Box((0,), (3,), 0),)
        for name, values, told in (("batch", [5, 7, 5], "5"), ("mode", ["b", "a", "b"], "'b'")):
            axis = (Coordinate(name, np.array(values), "What.", "1"),)
            what = Description((axis,), columns, boxes, False, {})
            match = (
                f"place for each {name}, and the table has {told} in several rows; allowed: FILE"
            )
            for suffix in ("zarr", "nc"):
                path = tmp_path / f"out.{suffix}"
                refused(tmp_path, match, lambda path=path, what=what: open_store(path, what))
            several = replace(what, axes=((*axis, replace(axis[0], name="other")),))
            write_zeros(tmp_path / f"{name}.zarr", several)
            write_zeros(tmp_path / f"{name}.parquet", what)
            assert pq.read_table(tmp_path / f"{name}.parquet")[name].to_pylist() == values

    def test_what_cannot_be_is_refused(self, tmp_path):
        what = description()
        (tmp_path / "out.csv").mkdir()
        for name, how, match in [
            ("out.xlsx", {}, "allowed: FILE.parquet, FILE.zarr, FILE.csv, FILE.nc"),
            ("out.nc", {"resume": True}, "cannot be resumed"),
            ("new.zarr", {"resume": True, "overwrite": True}, "at once"),
            ("out.csv", {"overwrite": True}, "is a directory"),
        ]:
            refused(
                tmp_path, match, lambda name=name, how=how: open_store(tmp_path / name, what, **how)
            )

    @pytest.mark.parametrize(
        ("points", "columns", "told"),
        [
            (2**29 + 1, ("flops",), "536870913 points of 1 metric are"),
            (2**28 + 1, ("flops", "bytes"), "268435457 points of 2 metrics are"),
        ],
    )
    def test_netcdf_that_is_larger_than_memory_is_refused(self, tmp_path, points, columns, told):
        steps = Coordinate("new_tokens", np.broadcast_to(1, points), "Steps.", "token")
        what = replace(description(columns), axes=((steps,),))
        refused(
            tmp_path,
            f"out.nc is written from memory, and {told} .*; allowed: FILE.zarr",
            lambda: open_store(tmp_path / "out.nc", what),
        )

    def test_chunks_of_a_single_file_come_in_order(self, tmp_path):
        with (
            pytest.raises(ValueError, match="chunk 1 came where 0 was next"),
            open_store(tmp_path / "out.csv", description()) as store,
        ):
            store.write(1, block(description(), 1))

    def test_a_file_that_came_in_the_meantime_is_kept(self, tmp_path):
        path = tmp_path / "out.csv"
        store = open_store(path, description())
        for index in range(4):
            store.write(index, block(description(), index))
        path.write_text("mine")
        with pytest.raises(InputError, match="exists"):
            store.__exit__(None)
        assert path.read_text() == "mine"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_missing_library_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(InputError, match=r"pip install 'symcost\[sweep\]'"):
            open_store(tmp_path / "out.parquet", description())


class TestTables:
    def test_integers_stay_integers_and_texts_texts(self, tmp_path):
        numbers, texts = [-(2**63), 2**63 - 1, 7], ["base", "2024-01-01", "true"]
        (tmp_path / "in.csv").write_text(
            "batch,mode\n" + "".join(f"{a},{b}\n" for a, b in zip(numbers, texts, strict=True))
        )
        import pyarrow as pa

        columns = {"batch": pa.array(numbers), "mode": pa.array(texts).dictionary_encode()}
        pq.write_table(pa.table(columns), tmp_path / "in.parquet")
        for name in ("in.csv", "in.parquet"):
            table = read_table(tmp_path / name)
            assert table["batch"].dtype == np.int64
            assert table["batch"].tolist() == numbers
            assert table["mode"].tolist() == texts

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("batch,cached\n1,2\n3,4.0\n", "column 'cached', row 2: '4.0'; allowed: integers"),
            ("batch\n1\n1e3\n", "column 'batch', row 2: '1e3'"),
            ("batch\n1\nnan\n", "column 'batch', row 2: 'nan'"),
            ("batch,image\n1,100x200\n0x10,1x1\n", "column 'batch', row 2: '0x10'; allowed: int"),
            ("batch\nx\n", "column 'batch', row 1: 'x'; allowed: integers"),
            ("batch,cached\n1,\n", "column 'cached', row 1: ''"),
            ("mode,batch\nx,1\n,2\n", "column 'mode', row 2: ''; allowed: texts"),
            (
                "batch\n1\n9223372036854775808\n",
                "row 2: '9223372036854775808'; allowed: .* 64 bits",
            ),
            (f"batch\n{'9' * 5000}\n", "row 1: '9{59}; allowed: integers"),
            ("batch,batch\n1,2\n", "two columns are called 'batch'"),
            ("batch,speed\n1,2\n", "in.csv: axis 'speed' is unknown; allowed: batch"),
            ("batch,cached\n1\n", "cannot be read: CSV parse error"),
            ("batch\n", "has no rows"),
            ("", "cannot be read"),
        ],
    )
    def test_what_is_neither_is_named(self, tmp_path, text, match):
        (tmp_path / "in.csv").write_text(text)
        with pytest.raises(InputError, match=match):
            read_table(tmp_path / "in.csv")

    @pytest.mark.parametrize(
        ("name", "values", "match"),
        [
            ("batch", [1.0, 2.0], "row 1: 1.0; allowed: integers"),
            ("batch", [1, None], "row 2: None"),
            ("batch", ["1", None], "row 2: None"),
            ("batch", [None], "row 1: None"),
            ("batch", [True], "row 1: True"),
            ("batch", np.array([1, 2**64 - 1], np.uint64), "row 2: 18446744073709551615"),
            ("mode", ["x", ""], "row 2: ''; allowed: texts"),
            ("mode", ["x", None], "row 2: None"),
            ("experts", [0.5, 1.0], "row 1: 0.5; allowed: texts"),
        ],
    )
    def test_what_parquet_holds_besides_is_named(self, tmp_path, name, values, match):
        import pyarrow as pa

        pq.write_table(pa.table({name: pa.array(values)}), tmp_path / "in.parquet")
        with pytest.raises(InputError, match=f"column '{name}', {match}"):
            read_table(tmp_path / "in.parquet")

    def test_the_name_says_whether_digits_are_numbers(self, tmp_path):
        import pyarrow as pa

        (tmp_path / "in.csv").write_text("batch,experts\n64,0.5\n-7,1\n")
        texts = {"batch": ["64", "-7"], "experts": ["0.5", "1"]}
        pq.write_table(pa.table(texts), tmp_path / "in.parquet")
        for name in ("in.csv", "in.parquet"):
            table = {name: found.tolist() for name, found in read_table(tmp_path / name).items()}
            assert table == {"batch": [64, -7], "experts": ["0.5", "1"]}

    def test_only_tables_are_read(self, tmp_path):
        for name in ("in.xlsx", "none.csv", "none.parquet"):
            with pytest.raises(InputError, match=name):
                read_table(tmp_path / name)
