"""The rules of the byte counter, each on operators of torch that are counted by hand.

What whole runs of the real model move is compared in tests/verify/test_traffic.py.
"""

from __future__ import annotations

import pytest
import torch

from symcost.verify.byte_counter import count, stored_bytes

torch.set_num_threads(1)


def bytes_of(run) -> tuple[int, int]:
    """What is read and written outside all modules."""
    moved = count(torch.nn.Identity(), run)
    return moved.read.of(""), moved.written.of("")


def empty(*shape: int, dtype=torch.float32) -> torch.Tensor:
    return torch.empty(*shape, dtype=dtype, device="meta")


def test_what_a_tensor_repeats_counts_once():
    table = empty(3, 5)
    assert stored_bytes(table) == 60
    assert stored_bytes(table.t()) == 60
    assert stored_bytes(table[:, None].expand(3, 7, 5)) == 60
    assert stored_bytes(table[:, :2]) == 24
    assert stored_bytes(empty(0, 5).expand(0, 5)) == 0


def test_views_move_nothing_and_what_must_be_copied_does():
    x = empty(4, 6, dtype=torch.bfloat16)
    assert bytes_of(lambda: x.view(24)[3:]) == (0, 0)
    assert bytes_of(lambda: x.reshape(6, 4).t().unsqueeze(0).expand(7, 4, 6)) == (0, 0)
    # Three columns of four numbers, which lie apart.
    assert bytes_of(lambda: x.t()[:3].reshape(12)) == (24, 24)


def test_a_result_of_a_product_that_is_only_looked_at_anew_is_written_once():
    """A product of three dimensions is one of two, and `_unsafe_view` of its result."""
    x, weight = empty(2, 3, 5), empty(7, 5)
    assert bytes_of(lambda: torch.nn.functional.linear(x, weight)) == (4 * (30 + 35), 4 * 42)


def test_an_operand_given_twice_is_read_once():
    x = empty(4, 6, dtype=torch.bfloat16)
    assert bytes_of(lambda: x * x) == (48, 48)
    assert bytes_of(lambda: x + x.clone()) == (48 + 96, 48 + 48)
    assert bytes_of(lambda: x[:2] + x[2:]) == (48, 24)
    assert bytes_of(lambda: torch.cat([x, x, x.t().t()])) == (48, 3 * 48)


def test_an_operand_that_repeats_is_read_as_it_is_stored():
    """A column against 6 x 4 numbers: what it is broadcast to is not read."""
    assert bytes_of(lambda: empty(6, 1).expand(6, 4) * empty(6, 4)) == (4 * (6 + 24), 4 * 24)


def test_an_embedding_reads_the_rows_that_are_looked_up():
    table, ids = empty(100, 6), torch.zeros(2, 3, dtype=int, device="meta")
    rows = bytes_of(lambda: torch.nn.functional.embedding(ids, table))
    assert rows == (6 * 8 + 6 * 24, 6 * 24)


@pytest.mark.parametrize("rows", [3, 400])
def test_an_index_reads_each_row_of_a_table_at_most_once(rows):
    table, ids = empty(100, 6), torch.zeros(rows, dtype=int, device="meta")
    assert bytes_of(lambda: table[ids]) == (8 * rows + 24 * min(rows, 100), 24 * rows)


def test_an_index_add_touches_the_rows_that_it_adds_to():
    sums, rows, ids = torch.zeros(100, 6), torch.ones(3, 6), torch.tensor([1, 5, 1])
    assert bytes_of(lambda: sums.index_add_(0, ids, rows)) == (3 * 8 + 2 * 72, 72)


@pytest.mark.parametrize(
    ("make", "written"),
    [
        (lambda x: x.new_zeros(7), 14),
        (lambda x: x.new_ones(7), 14),
        (lambda x: x.new_full((7,), 2), 14),
        (torch.zeros_like, 12),
        (torch.ones_like, 12),
        (lambda x: torch.full_like(x, 2), 12),
        (torch.empty_like, 0),
        (lambda x: x.new_empty(7), 0),
        (lambda x: x.new_empty_strided((7,), (1,)), 0),
    ],
)
def test_what_is_made_after_the_likeness_of_a_tensor_reads_nothing_of_it(make, written):
    x = torch.empty(6, dtype=torch.bfloat16, device="meta")
    assert bytes_of(lambda: make(x)) == (0, written)


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (lambda x: x.zero_(), 0),
        (lambda x: x.fill_(2), 0),
        (lambda x: x.fill_(empty(1)[0]), 4),
        (lambda x: x.copy_(empty(3, 2)), 24),
        (lambda x: x.copy_(empty(2)), 8),
        (lambda x: x.copy_(x), 12),
    ],
)
def test_what_is_written_over_a_tensor_reads_nothing_of_it(write, read):
    x = empty(3, 2, dtype=torch.bfloat16)
    assert bytes_of(lambda: write(x)) == (read, 12)


def test_bytes_are_booked_at_every_module_around_an_operator():
    model = torch.nn.Sequential(torch.nn.Linear(5, 7, device="meta"), torch.nn.SiLU())
    x = empty(3, 5)
    moved = count(model, lambda: model(x))
    rows, weights = 4 * 3 * 5, 4 * (7 * 5 + 7)
    made = 4 * 3 * 7
    assert moved.read.by_module == {
        "0": {"aten.addmm": rows + weights},
        "1": {"aten.silu": made},
        "": {"aten.addmm": rows + weights, "aten.silu": made},
    }
    assert [moved.written.of(path) for path in ("0", "1", "")] == [made, made, 2 * made]
