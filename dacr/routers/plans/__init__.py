"""Plans: ways to answer that ask several models."""
