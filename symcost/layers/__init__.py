"""Layers: forward passes over symbolic shapes, each written once."""
