"""Studies: grids of experiments, and functions from their folders to tables."""
