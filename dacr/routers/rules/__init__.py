"""Routers that read texts: rules, and a fallback chain."""
