"""What a forward pass keeps for the backward pass, against what torch keeps of the real code."""

from __future__ import annotations

import pytest
import torch

from symcost.autodiff import backward
from symcost.exact import Evaluator
from symcost.execution import saved_bytes
from symcost.stages import Stage
from symcost.verify.grid import page
from symcost.verify.port import Real, images_of, run_towers
from symcost.verify.stated import stage_graphs

torch.set_num_threads(1)

REAL = Real()


def kept_by_torch(run) -> int:
    """Bytes of all tensors but parameters that autograd keeps, each memory once."""
    sizes = {}
    parameters = {x.untyped_storage()._cdata for x in REAL.meta.parameters()}
    kept = []

    def pack(tensor):
        kept.append(tensor)  # so that no other tensor takes its place
        sizes[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(size for memory, size in sizes.items() if memory not in parameters)


@pytest.mark.parametrize(("side", "batch"), [(640, 2), (1024, 1), (320, 3)])
def test_the_vision_tower_saves_what_torch_saves(side, batch):
    """Within half a percent: with a single view some copies of the reference are free."""
    workload = page(side, batch)
    images = images_of(REAL.meta, batch, workload.views)
    (graph,) = stage_graphs()[Stage.VISION].values()
    stated = Evaluator(workload.bindings)(saved_bytes(backward(graph)))
    assert stated == pytest.approx(kept_by_torch(lambda: run_towers(REAL.meta, images)), rel=0.005)
