"""Grids of experiments: cells that run anywhere, can be restarted, and are gathered into tables."""
