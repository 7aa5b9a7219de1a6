"""The backward pass of a graph: the same walk that automatic differentiation takes."""

from __future__ import annotations

import heapq

from symcost.graph import Graph, Operation, Scope
from symcost.operators.elementwise import add
from symcost.operators.movement import slice_backward
from symcost.operators.reduction import sum_to
from symcost.tensor import Tensor, View, ViewKind


def backward(graph: Graph) -> Graph:
    """The graph that computes the gradient of every weight and differentiable input.

    The gradient of each output of the forward pass is given; what the forward pass saved is read.
    """
    memory = (p.region.root for op in graph.operations for p in (*op.reads, *op.writes))
    saved = {root: graph.states.get(root, root.loops) for root in memory}
    result = Graph(weights=dict(graph.weights), saved=saved, calls=False)
    producer = {tensor: op for op in graph.operations for tensor in op.outputs}
    weights = set(graph.weights.values())
    gradients: dict[Tensor, list[Tensor]] = {}
    pending: list[tuple[int, Tensor]] = []

    def give(tensor: Tensor, gradient: Tensor) -> None:
        if tensor not in gradients:
            heapq.heappush(pending, (-tensor.serial, tensor))
        gradients.setdefault(tensor, []).append(gradient)

    for output in graph.outputs:
        if output.differentiable:
            name = f"gradient of {output.name}"
            give(output, result.input(name, *output.shape, width=output.width))
    while pending:
        _, tensor = heapq.heappop(pending)
        scope = _scope(result, tensor, producer.get(tensor))
        first, *others = gradients.pop(tensor)
        gradient = first
        for other in others:
            gradient = add(scope / "accumulate", gradient, other)
        operation = producer.get(tensor)
        if tensor.view is not None:
            give(tensor.view.base, _through_view(scope, tensor.view, gradient))
        elif tensor in weights:
            result.kept.append(gradient)
        elif operation is None:
            result.output(gradient)
        elif operation.backward is not None:
            for given, part in zip(
                operation.inputs,
                operation.backward(scope, gradient, operation.outputs),
                strict=True,
            ):
                if part is not None and given.differentiable:
                    give(given, part)
    return result


def _scope(graph: Graph, tensor: Tensor, operation: Operation | None) -> Scope:
    if operation is not None:
        return Scope(graph, operation.path, operation.loops, operation.kernel)
    return Scope(graph, tensor.name, tensor.pieces[0].region.loops)


def _through_view(scope: Scope, view: View, gradient: Tensor) -> Tensor:
    """The gradient of what a view looks at."""
    shape = view.base.shape
    if view.kind is ViewKind.RESHAPE:
        return gradient.reshape(*shape)
    if view.kind is ViewKind.PERMUTE:
        back = sorted(range(len(view.order)), key=view.order.__getitem__)
        return gradient.permute(*back)
    if view.kind is ViewKind.EXPAND:
        return sum_to(scope / "grad_expand", gradient, shape=shape)
    return slice_backward(scope / "grad_slice", gradient, shape=shape)
