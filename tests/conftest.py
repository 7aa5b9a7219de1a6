"""What all tests share: hypothesis draws the same examples in every run; rules broken by hand."""

import pytest
from hypothesis import settings

from symcost.operators import OPERATORS

settings.register_profile("symcost", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("symcost")


@pytest.fixture
def change_rule(monkeypatch):
    """Replaces the rule of an operator by one that is changed, until the test ends."""

    def replace_by(operator, change):
        right = OPERATORS[operator].rule
        monkeypatch.setitem(
            vars(OPERATORS[operator]),
            "rule",
            lambda *args, **named: change(right(*args, **named)),
        )

    return replace_by
