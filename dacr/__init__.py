"""DACR: an offline research pipeline for LLM routing, honest about what a router can know."""

__version__ = "0.2.0.dev0"
