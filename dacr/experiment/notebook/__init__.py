"""Experiments as calls, and results that show themselves."""
