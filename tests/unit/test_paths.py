"""Module paths: groups of layers, told apart and put together."""

from __future__ import annotations

import pytest

from symcost.paths import called, enclosing, expanded, indexes


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        ("norm.weight", ["norm.weight"]),
        ("a.layers.7.b", ["a.layers.7.b"]),
        ("a.layers.0-1,3.b", ["a.layers.0.b", "a.layers.1.b", "a.layers.3.b"]),
        ("layers.10-11.b", ["layers.10.b", "layers.11.b"]),
    ],
)
def test_ranges_expand(path, paths):
    assert list(expanded(path)) == paths


@pytest.mark.parametrize("numbers", [[0], [0, 1], [2, 5, 8, 11], [0, 1, 3, 4, 6]])
def test_numbers_come_back(numbers):
    assert expanded(f"layers.{indexes(numbers)}") == tuple(f"layers.{i}" for i in numbers)


@pytest.mark.parametrize(
    ("path", "around"), [("", [""]), ("a", ["", "a"]), ("a.b.c", ["", "a", "a.b", "a.b.c"])]
)
def test_enclosing(path, around):
    assert list(enclosing(path)) == around


@pytest.mark.parametrize(
    ("path", "around"),
    [
        ("", [""]),
        ("a.layers.0-8.b", ["", "a", "a.layers.0-8", "a.layers.0-8.b"]),
        ("layers.2", ["", "layers.2"]),
    ],
)
def test_a_list_of_modules_is_not_called(path, around):
    assert list(called(path)) == around
