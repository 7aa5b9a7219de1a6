"""NAME=VALUE, joined by commas."""

import pytest

from symcost.assignments import assignments
from symcost.errors import InputError


def test_values_by_name():
    given = assignments("size", "a=1,b=x=2,c=", ["a", "b", "c"], "NAME=VALUE")
    assert given == {"a": "1", "b": "x=2", "c": ""}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "size is ''; allowed: NAME=VALUE"),
        ("a", "size is 'a'; allowed: NAME=VALUE"),
        ("a=1,", "size is 'a=1,'; allowed: NAME=VALUE"),
        ("d=1", "size is 'd=1'; allowed: NAME=VALUE"),
        ("a=1,a=1", "size a is given twice; give it once"),
        ("d" * 100, f"size is '{'d' * 60}'; allowed: NAME=VALUE"),
    ],
)
def test_anything_else_is_refused(text, told):
    with pytest.raises(InputError) as error:
        assignments("size", text, ["a", "b", "c"], "NAME=VALUE")
    assert str(error.value) == told
