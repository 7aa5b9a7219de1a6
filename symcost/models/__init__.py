"""Models: trees of layers under the paths of the real modules."""
