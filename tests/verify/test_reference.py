"""What verifying needs, and what it says where that is missing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from symcost import verify
from symcost.errors import InputError

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("missing", [["torch"], ["transformers", "fvcore"]])
def test_missing_packages_name_the_extra(monkeypatch, missing):
    monkeypatch.setattr(verify, "find_spec", lambda name: None if name in missing else object())
    with pytest.raises(InputError, match=r"pip install 'symcost\[verify\]'") as caught:
        verify.require_reference()
    assert str(caught.value).startswith(", ".join(sorted(missing, reverse=True)))


def test_a_transformers_without_the_port_is_told(monkeypatch):
    def find(name):
        if name.endswith("unlimited_ocr"):
            raise ModuleNotFoundError(name)
        return object()

    monkeypatch.setattr(verify, "find_spec", find)
    with pytest.raises(InputError, match="has no port of DeepSeek-OCR") as caught:
        verify.require_reference()
    assert "5.23.0 has: pip install" in str(caught.value)


def test_what_cannot_be_imported_is_told_in_one_line(monkeypatch):
    def broken(name):
        raise ImportError("cannot import name 'UnlimitedOcrConfig' from 'transformers'")

    monkeypatch.setattr(verify, "import_module", broken)
    with pytest.raises(InputError, match="the real model cannot be imported: cannot import name"):
        verify.room("symcost.verify.verification")


def test_the_version_is_the_one_that_the_extra_installs():
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = f"transformers=={verify.SUPPORTED}"
    assert wanted in extras["optional-dependencies"]["verify"]
    assert wanted in extras["optional-dependencies"]["test"]
