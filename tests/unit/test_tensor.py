"""Tensors: looks at the same memory, and shapes that do not fit."""

from __future__ import annotations

import pytest
import sympy as sp

from symcost.errors import DomainError, ShapeError
from symcost.graph import Graph
from symcost.operators import cache_append, silu
from symcost.symbols import B, D, F, H, I_g, K, N_h, S, ceil_div, n, w_a, w_kv, w_w
from symcost.tensor import Kind, Tensor, ViewKind, product, same, shape_text


@pytest.fixture
def x() -> Tensor:
    return Graph().input("x", B, S, H)


class TestSizes:
    def test_elements_rows_and_features(self, x):
        assert (x.elements, x.rows, x.features) == (B * S * H, B * S, H)
        assert (x.width, x.region.kind) == (w_a, Kind.ACTIVATION)

    def test_a_single_number_has_one_row(self):
        assert Graph().input("x", H).rows == 1

    def test_product_and_text(self):
        assert product((B, 3, S)) == 3 * B * S
        assert product(()) == 1
        assert shape_text((B, 3, S)) == "(B, 3, S)"

    @pytest.mark.parametrize(
        ("a", "b", "equal"),
        [
            (B * (S + 1), B * S + B, True),
            (sp.Integer(3), sp.Integer(3), True),
            (ceil_div(I_g, 16), I_g / 16, True),
            (B, S, False),
            (n, n + 1, False),
        ],
    )
    def test_sizes_are_the_same_for_all_values_or_not(self, a, b, equal):
        assert same(a, b) is equal

    @pytest.mark.parametrize("size", ["S", 1.5, True])
    def test_a_size_is_an_integer_or_a_formula(self, size):
        with pytest.raises(DomainError):
            Graph().input("x", B, size)


class TestViews:
    @pytest.mark.parametrize(
        ("look", "shape", "kind"),
        [
            (lambda x: x.reshape(B * S, H), (B * S, H), ViewKind.RESHAPE),
            (lambda x: x.permute(2, 0, 1), (H, B, S), ViewKind.PERMUTE),
            (lambda x: x.transposed, (B, H, S), ViewKind.PERMUTE),
            (lambda x: x.reshape(1, B, S, H), (1, B, S, H), ViewKind.RESHAPE),
        ],
        ids=["reshape", "permute", "transposed", "one more dimension"],
    )
    def test_a_view_owns_no_memory(self, x, look, shape, kind):
        seen = look(x)
        assert seen.shape == shape
        assert seen.pieces == x.pieces
        assert (seen.view.kind, seen.view.base) == (kind, x)
        assert seen.elements == x.elements

    def test_permuting_twice_comes_back(self, x):
        assert x.permute(2, 0, 1).permute(1, 2, 0).shape == x.shape
        assert x.transposed.transposed.shape == x.shape

    def test_repeating_takes_no_memory(self):
        bias = Graph().input("bias", 1, H)
        wide = bias.expand(B, S, H)
        assert wide.shape == (B, S, H)
        assert wide.pieces == bias.pieces
        assert wide.pieces[0].elements == H

    def test_a_slice_is_a_region_inside(self, x):
        part = x.slice(1, 0, 1)
        assert part.shape == (B, 1, H)
        assert part.region.elements == B * H
        assert part.region.parent is x.region
        assert part.slice(-1, 0, 2).region.root is x.region
        assert (part.view.kind, part.view.base) == (ViewKind.SLICE, x)

    def test_a_slice_that_is_cut_again_is_the_same_memory(self, x):
        assert x.slice(1, 2, 3).region is x.slice(1, 2, 3).region is x.slice(-2, 2, 3).region
        others = [x.slice(1, 1, 3), x.slice(1, 2, 4), x.slice(2, 2, 3), x.transposed.slice(1, 2, 3)]
        assert all(other.region is not x.slice(1, 2, 3).region for other in others)

    def test_pieces_of_a_split_lie_behind_each_other(self, x):
        pieces = x.split(-1, 2, 3, H - 5)
        by_hand = [x.slice(-1, 0, 2), x.slice(-1, 2, 3), x.slice(-1, 5, H - 5)]
        assert [a.region for a in pieces] == [b.region for b in by_hand]

    def test_pieces_of_a_split_are_the_whole(self, x):
        first, second = x.split(-1, D, H - D)
        assert (first.shape, second.shape) == ((B, S, D), (B, S, H - D))
        assert sp.expand(first.region.elements + second.region.elements - x.elements) == 0

    def test_a_view_keeps_kind_width_and_differentiability(self):
        graph = Graph()
        ids = graph.input("ids", B, S, width=sp.Integer(8), differentiable=False)
        weight = (graph.root / "proj").weight("weight", F, H)
        assert (ids.reshape(B * S).width, ids.reshape(B * S).differentiable) == (8, False)
        assert (weight.transposed.region.kind, weight.transposed.width) == (Kind.WEIGHT, w_w)

    def test_each_tensor_comes_after_what_it_is_made_of(self, x):
        graph = Graph()
        made = silu(graph.root / "act", x)
        assert x.serial < made.serial < made.transposed.serial


class TestErrors:
    @pytest.mark.parametrize(
        ("look", "texts"),
        [
            (lambda x: x.reshape(B, H), ("x (B, S, H)", "B*H*S", "(B, H)", "B*H")),
            (lambda x: x.reshape(B, S, H, 2), ("x (B, S, H)", "(B, S, H, 2)", "2*B*H*S")),
            (lambda x: x.permute(0, 1), ("(0, 1)", "(B, S, H)")),
            (lambda x: x.permute(0, 1, 1), ("(0, 1, 1)", "(B, S, H)")),
            (lambda x: x.permute(1, 2, 3), ("(1, 2, 3)", "(B, S, H)")),
            (lambda x: x.expand(B, S, F), ("x (B, S, H)", "(B, S, F)")),
            (lambda x: x.expand(S, H), ("x (B, S, H)", "(S, H)")),
            (lambda x: x.split(-1, D, D), ("x (B, S, H)", "along dimension -1", "(D, D)", "2*D")),
            (lambda x: x.split(1, S, 1), ("x (B, S, H)", "has S along dimension 1", "S + 1")),
        ],
    )
    def test_both_shapes_are_named(self, x, look, texts):
        with pytest.raises(ShapeError) as error:
            look(x)
        assert [text for text in texts if text not in str(error.value)] == []

    def test_a_tensor_in_pieces_has_no_one_region(self):
        graph = Graph()
        g = graph.root / "self_attn"
        past = g.cached("keys", B, N_h, K, D, width=w_kv)
        keys = cache_append(g / "keys", past, graph.input("new", B, N_h, S, D), dim=2, width=w_kv)
        with pytest.raises(ShapeError, match=r"self_attn.keys lies in 2 pieces"):
            _ = keys.region
        with pytest.raises(ShapeError, match="2 pieces"):
            keys.slice(2, 0, 1)

    def test_a_weight_asked_for_again_is_the_same_one_or_refused(self):
        g = Graph().root / "proj"
        weight = g.weight("weight", F, H)
        assert g.weight("weight", F, H) is weight
        with pytest.raises(ShapeError) as error:
            g.weight("weight", H, F)
        assert "proj.weight is (F, H)" in str(error.value)
        assert "(H, F)" in str(error.value)
