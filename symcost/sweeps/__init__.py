"""Sweeps: costs over grids and tables of workloads, in chunks, to arrays, files and reductions."""
