"""The embedded benchmark: generated, with known truth."""
