"""Checks of this installation and these data against published numbers and hand-computable cases."""
