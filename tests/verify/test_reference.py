"""What verifying needs, and what it says where that is missing."""

from __future__ import annotations

import pytest

from symcost import verify
from symcost.errors import InputError


@pytest.mark.parametrize("missing", [["torch"], ["transformers", "fvcore"]])
def test_missing_packages_name_the_extra(monkeypatch, missing):
    monkeypatch.setattr(verify, "find_spec", lambda name: None if name in missing else object())
    with pytest.raises(InputError, match=r"pip install 'symcost\[verify\]'") as caught:
        verify.require_reference()
    assert str(caught.value).startswith(", ".join(sorted(missing, reverse=True)))
