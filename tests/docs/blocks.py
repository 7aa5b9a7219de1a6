"""Blocks of code in Markdown, run as their readers would run them.

* `console`: where lines begin with `$ `, these are commands and the others what they print;
  otherwise each line is a command. `symcost` runs in this process, what compiles and runs exported
  code in a shell; what installs is compared with pyproject.toml.
* `python` runs in one namespace a file, as a doctest where it has prompts.
* `text` right behind a block is what that block prints; elsewhere it is no code.
* `toml` is loaded.
* C and JavaScript begin with `// name`, the file that they are stored in and that a command
  then uses; `# name` does the same for the others.

A line `…` stands for any lines of output.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass, field
from doctest import ELLIPSIS, DocTestParser, DocTestRunner
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import typer
from markdown_it import MarkdownIt

from symcost.cli.main import app
from tests.cli.program import run

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

LONG = {
    "symcost verify deepseek-ocr": "minutes; CI runs it with --quick, tests/verify on parts",
    "symcost prove deepseek-ocr": "minutes; CI runs it and compares the proof",
    "symcost generate deepseek-ocr": "tests/golden makes the same files and compares them",
    "symcost sweep deepseek-ocr --axis batch=1:512": "10^9 points; -m slow runs it",
    "trace_all()": "minutes; symcost prove, which CI runs, calls the same",
    ".ci/run": "it is what runs this",
    ".venv/bin/pytest": "it is what runs this",
    "sphinx-build": "CI builds the site",
    "tests.notebook": "tests/test_notebook.py runs the notebook",
}
"""What takes too long to run here, and where else it runs; its options are read all the same."""

SETUP = {"python3 -m venv .venv", "source .venv/bin/activate", ".venv/bin/pre-commit install"}
SHELL = {"cat", "cc", "cd", "ls", "node", "printf", "python"}


class BlockError(AssertionError):
    """A block that does not do what it says."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    follows: bool


def blocks_of(document: str) -> Iterator[Block]:
    """Every block of code, where it begins, and whether another one is right above it."""
    before = ""
    for token in MarkdownIt().parse(document):
        if token.type in {"fence", "code_block"}:
            line = 1 if token.map is None else token.map[0] + 1
            yield Block(token.info, token.content, line, before == "fence")
        before = token.type


def why_long(text: str) -> str | None:
    """Why something does not run here; nothing where it does."""
    return next((why for start, why in LONG.items() if start in text), None)


def require_equal(shown: str, printed: str) -> None:
    """Compare line by line, but for what `…` stands for."""
    wanted = [line.rstrip() for line in shown.strip("\n").split("\n")]
    if set(wanted) <= {"…"}:
        raise BlockError("nothing is left to compare")
    got = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").split("\n"))
    pattern = "".join("(?:.*\n)*" if w == "…" else re.escape(f"{w}\n") for w in wanted)
    if not re.fullmatch(pattern, got):
        raise BlockError(f"shown:\n{shown}\nprinted:\n{got}")


@dataclass
class Reader:
    """Does what a document says, in a folder of its own."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    printed: str | None = None

    def read(self, document: str) -> None:
        """Run block after block."""
        for block in blocks_of(document):
            try:
                self._run(block)
            except BlockError as error:
                raise BlockError(f"line {block.line}: {error}") from error
            except Exception as error:
                raise BlockError(f"line {block.line}: {type(error).__name__}: {error}") from error

    def _run(self, block: Block) -> None:
        if block.language.startswith("{") or block.language == "mermaid":
            return  # the site is made of them
        if block.language == "text":
            if block.follows and self.printed is not None:
                require_equal(block.text, self.printed)
            return
        self.printed = None
        kinds: dict[str, Callable[[str], None]] = {
            "console": self._console,
            "python": self._python,
            "toml": tomllib.loads,
            "c": self._stored_only,
            "javascript": self._stored_only,
        }
        if block.language not in kinds:
            raise BlockError(f"{block.language!r} is no language that is run here")
        named = re.match(r"(?:#|//) (\S+\.\w+)\n", block.text)
        if named:
            (self.folder / named[1]).write_text(block.text, "utf-8")
            if block.language != "toml":
                return
        kinds[block.language](block.text)

    def _stored_only(self, _text: str) -> None:
        raise BlockError("its first line must name the file that it is stored in")

    def _python(self, text: str) -> None:
        if why_long(text):
            importable(text)
            return
        out = StringIO()
        with chdir(self.folder):
            if ">>>" not in text:
                with redirect_stdout(out):
                    exec(compile(text, "block", "exec"), self.names)  # noqa: S102
            else:
                test = DocTestParser().get_doctest(text, self.names, "block", None, 0)
                runner = DocTestRunner(optionflags=ELLIPSIS)
                if runner.run(test, out=out.write, clear_globs=False).failed:
                    raise BlockError(out.getvalue())
                self.names.update(test.globs)
        self.printed = out.getvalue()

    def _console(self, text: str) -> None:
        lines = text.replace("\\\n", " ").splitlines()
        if not any(line.startswith("$ ") for line in lines):
            self.printed = "".join(self._command(line) for line in lines)
            return
        commands: list[tuple[str, list[str]]] = []
        for line in lines:
            if line.startswith("$ "):
                commands.append((line[2:], []))
            elif commands:
                commands[-1][1].append(line)
            else:
                raise BlockError(f"{line!r} is printed before a command")
        for command, shown in commands:
            fails = bool(shown) and shown[-1].startswith("error: ")
            printed = self._command(command, fails=fails)
            if shown:
                require_equal("\n".join(shown), printed)

    def _command(self, line: str, *, fails: bool = False) -> str:
        words = shlex.split(line, comments=True)
        if words and words[0] == "cd":
            raise BlockError("the reader's shell stays there for all that follows; use (cd … && …)")
        if words and (words[0].lstrip("(") in SHELL or words[0].startswith("./")):
            return self._in_shell(line, fails=fails)
        printed, command = "", list[str]()
        for word in [*words, "&&"]:
            if word != "&&":
                command.append(word)
            elif command:
                printed += self._program(command, fails=fails)
                command = []
        return printed

    def _program(self, words: list[str], *, fails: bool) -> str:
        program, *arguments = words
        written = " ".join([program.removeprefix(".venv/bin/"), *arguments])
        if program in {"symcost", ".venv/bin/symcost"}:
            if why_long(written):
                parse(arguments)
                return ""
            done = run(*arguments, cwd=self.folder)
            if bool(done.returncode) != fails:
                raise BlockError(f"{written} exits with {done.returncode}: {done.stderr}")
            return done.stderr if fails else done.stdout
        if program in {"pip", ".venv/bin/pip"}:
            installable(arguments)
        elif " ".join(words) not in SETUP and not why_long(" ".join(words)):
            raise BlockError(f"{program!r} is no program that is run here")
        return ""

    def _in_shell(self, line: str, *, fails: bool) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],  # noqa: S607
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if bool(done.returncode) != fails:
            raise BlockError(f"{line} exits with {done.returncode}: {done.stderr}")
        return done.stderr if fails else done.stdout


def parse(arguments: list[str]) -> None:
    """Read a command's options as the program does, and run nothing."""
    group = typer.main.get_command(app)
    name, *options = arguments
    with group.commands[name].make_context(name, options):  # type: ignore[attr-defined]
        pass


def importable(text: str) -> None:
    """Hold what a program imports against where that is defined, and run nothing."""
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.ImportFrom):
            continue
        module = find_spec(str(statement.module))
        if module is None or module.origin is None:
            raise BlockError(f"there is no {statement.module}")
        source = ast.parse(Path(module.origin).read_text("utf-8"))
        defined = {getattr(found, "name", None) for found in source.body}
        missing = [each.name for each in statement.names if each.name not in defined]
        if missing:
            raise BlockError(f"{statement.module} defines no {', '.join(missing)}")


def installable(arguments: list[str]) -> None:
    """Hold what pip is asked to install against pyproject.toml."""
    extras = PROJECT["optional-dependencies"]
    pinned = {requirement for wanted in extras.values() for requirement in wanted}
    verb, *wanted = arguments
    for each in wanted:
        ours = re.fullmatch(r"(?:\.|symcost)(?:\[([\w,]+)\])?", each)
        known = ours and set((ours[1] or "").split(",")) <= {"", *extras}
        if not (known or each in pinned or each == "-e"):
            raise BlockError(f"{each} is not in pyproject.toml")
    if verb != "install":
        raise BlockError(f"pip {verb} is no command that is run here")
