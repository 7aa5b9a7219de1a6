"""A verification of bytes and memory as people read it. It is given as the object of its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from symcost.render.sections import Section, sections_markdown
from symcost.render.verification import digits

WAYS = ("read", "written")


def byte_sections(found: Mapping[str, Any]) -> tuple[Section, ...]:
    """Everything that was compared, table by table; without tables that were not reached."""
    sections = (
        Section(
            "Bytes that the real code moves, all runs and modules together",
            ("stage", "operators", "runs", "read", "written", "stated beyond: read", "written"),
            [
                (
                    row["stage"],
                    row["operators"],
                    digits(row["runs"]),
                    digits(row["counted"]["read"]),
                    digits(row["counted"]["written"]),
                    *(digits(row["stated"][way] - row["counted"][way]) for way in WAYS),
                )
                for row in found["rows"]
            ],
            2,
        ),
        Section(
            "Where stated and real bytes differ, each difference known to the byte",
            ("why", "operators", "modules × runs", "read", "written", "share of a module"),
            [
                (
                    known["reason"],
                    f"{known['operators']} in {_end_of(known['modules'])}",
                    digits(known["times"]),
                    *(digits(known["bytes"][way]) for way in WAYS),
                    f"up to {known['largest_share']:.2%}",
                )
                for known in found["remaining"]
            ],
            2,
        ),
        Section(
            "Distinct experts that the real router makes a layer read",
            ("tokens", "calls", "mean", "interval", "expected", "bounds"),
            [
                (
                    digits(seen["tokens"]),
                    digits(seen["draws"]),
                    f"{seen['mean']:.4f}",
                    f"± {seen['half_width']:.4f} ({seen['confidence']:.2%})",
                    f"{seen['expected']:.4f}",
                    f"{seen['least']} to {seen['most']}",
                )
                for seen in found["routing"]
            ],
            0,
        ),
        Section(
            "Live activations at their peak",
            ("stage", "sizes", "where", "stated", "measured", "stated / measured"),
            [
                (
                    seen["stage"],
                    seen["sizes"],
                    seen["path"],
                    digits(seen["stated"]),
                    digits(seen["measured"]),
                    f"{seen['stated'] / seen['measured']:.4f}",
                )
                for seen in found["peaks"]
            ],
            3,
        ),
    )
    return tuple(section for section in sections if section.rows)


def _end_of(path: str) -> str:
    """The last three names of a module path."""
    return ".".join(path.split(".")[-3:])


def byte_summary(found: Mapping[str, Any]) -> Iterator[str]:
    """What came out, in a few sentences."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    mutants = found["mutants"]
    yield (
        f"{digits(found['comparisons'])} comparisons at {found['module_paths']} module paths, by "
        f"class of operators and direction; problems: {len(found['problems'])} ({versions})"
    )
    yield (
        f"{mutants['made']} reads and writes made wrong on purpose: {len(mutants['survivors'])} "
        "unnoticed"
    )


def byte_markdown(found: Mapping[str, Any]) -> str:
    """The verification as tables, with what came out behind them."""
    return sections_markdown(byte_sections(found), byte_summary(found))
