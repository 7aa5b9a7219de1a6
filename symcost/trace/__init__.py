"""Tracing the real model with symbolic sizes, and the proofs that follow from it."""
