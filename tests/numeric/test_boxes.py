"""Boxes: every point once, in order, in no more than was allowed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import InputError
from symcost.numeric.boxes import Boxes

shapes = st.lists(st.integers(1, 6), max_size=4).map(tuple)


@given(shapes, st.integers(1, 400))
def test_boxes_hold_every_point_once_and_in_flat_order(shape, most):
    flat = np.arange(math.prod(shape)).reshape(shape)
    boxes = list(Boxes(shape, most))
    assert np.concatenate([flat[box.slices].ravel() for box in boxes]).tolist() == list(
        range(flat.size)
    )
    for box in boxes:
        inside = flat[box.slices]
        assert inside.shape == box.shape
        assert inside.flat[0] == box.first
        assert inside.size == box.size <= most


@given(shapes, st.integers(1, 400))
def test_one_axis_is_cut_and_its_pieces_are_nearly_equal(shape, most):
    boxes = list(Boxes(shape, most))
    lengths = {box.shape for box in boxes}
    assert max(map(math.prod, lengths)) <= 2 * min(map(math.prod, lengths))
    for cut in lengths:
        several = [axis for axis, length in enumerate(cut) if length > 1]
        assert all(cut[axis] == shape[axis] for axis in several[1:])


def test_a_grid_that_fits_is_one_box():
    (box,) = Boxes((3, 4), 12)
    assert (box.start, box.stop, box.first) == ((0, 0), (3, 4), 0)
    (point,) = Boxes((), 1)
    assert (point.shape, point.size, point.slices) == ((), 1, ())


def test_a_grid_of_many_points_takes_no_time():
    boxes = Boxes((10**3, 10**5, 10**4), 10**6)
    assert len(boxes) == 10**6
    last = boxes[len(boxes) - 1]
    assert (last.first, last.start, last.stop) == (
        10**12 - 10**6,
        (999, 99_900, 0),
        (1000, 100_000, 10_000),
    )
    with pytest.raises(IndexError):
        boxes[len(boxes)]
    with pytest.raises(IndexError):
        boxes[-1]


def test_an_axis_without_values_has_no_boxes():
    for shape in ((0, 3), (3, 0), (0,)):
        assert list(Boxes(shape, 2)) == []


def test_what_is_refused():
    with pytest.raises(InputError, match="chunk of 0 points; allowed: at least 1"):
        Boxes((3,), 0)
    with pytest.raises(InputError, match="at most 9223372036854775807"):
        Boxes((2**32, 2**31), 10)
