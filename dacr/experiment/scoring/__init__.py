"""Decisions are scored: metrics of runs, and choices that were made elsewhere, by any router on recorded queries."""
