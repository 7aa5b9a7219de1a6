"""The program as tests drive it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from symcost.cli.main import main


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run_alone(*arguments: str) -> Done:
    """The program in a process of its own."""
    program = "from symcost.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run(*arguments: str, cwd: Path | None = None) -> Done:
    """The same in this process, which has imported everything already."""
    out, err = StringIO(), StringIO()
    with (
        chdir(cwd or Path()),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        main(list(arguments))
    return Done(left.value.code, out.getvalue(), err.getvalue())
