"""Protocols beyond "shuffled and stationary": each is a small transformation of the stream or of its outcomes."""
