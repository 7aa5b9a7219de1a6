"""The parameters of the whole model: names and shapes against the port's, and the totals."""

from __future__ import annotations

import math
from functools import cache

import pytest
from transformers import UnlimitedOcrConfig

from symcost.exact import evaluate
from symcost.loops import times
from symcost.models.deepseek_ocr import decoder, vision
from symcost.models.deepseek_ocr.config import from_dict
from symcost.models.deepseek_ocr.geometry import Views
from symcost.models.deepseek_ocr.reference import REFERENCES
from symcost.paths import expanded
from symcost.tensor import Tensor
from tests.oracles.layer_cases import CONFIG, PORT


@cache
def weights_of(reference: str) -> dict[str, Tensor]:
    """The weights of all stages by path, with ranges of layers as one."""
    named = REFERENCES[reference]
    graphs = (
        vision.vision(CONFIG, named, Views()),
        decoder.decoder(CONFIG.decoder, named, Views()),
        decoder.head(CONFIG.decoder, last_only=False),
    )
    return {path: weight for graph in graphs for path, weight in graph.weights.items()}


def shape_of(weight: Tensor) -> tuple[int, ...]:
    return tuple(evaluate(size, {}) for size in weight.shape)


def test_names_and_shapes_are_the_ports():
    ours = [
        (name, shape_of(weight))
        for path, weight in weights_of("transformers").items()
        for name in expanded(path)
    ]
    port = [(name, tuple(parameter.shape)) for name, parameter in PORT.named_parameters()]
    assert sorted(ours) == sorted(port)


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_weight_counts_once_for_each_layer_of_its_path(reference):
    for path, weight in weights_of(reference).items():
        (piece,) = weight.pieces
        layers = len(list(expanded(path)))
        assert evaluate(times(piece.elements, piece.region.loops), {}) == layers * math.prod(
            shape_of(weight)
        )


def test_the_vendor_has_one_parameter_more():
    """CLIP's patch convolution, 14 × 14 pixels of 3 channels to 1024 features, which never runs."""
    vendor, port = weights_of("vendor"), weights_of("transformers")
    (path,) = vendor.keys() - port.keys()
    assert path == "model.vision_tower.vision_encoder.embeddings.patch_embedding.weight"
    assert shape_of(vendor[path]) == (1024, 3, 14, 14)
    assert port.keys() < vendor.keys()


@pytest.mark.parametrize(
    ("reference", "total"),
    [("vendor", 3_336_106_240), ("transformers", 3_336_106_240 - 1024 * 3 * 14 * 14)],
)
def test_total(reference, total):
    assert total == sum(
        math.prod(shape_of(weight))
        for path, weight in weights_of(reference).items()
        for _ in expanded(path)
    )


def test_the_ports_default_configuration_is_the_published_one():
    assert from_dict(UnlimitedOcrConfig().to_dict()) == CONFIG
