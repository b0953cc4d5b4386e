"""Policies for the budget router, by name."""
