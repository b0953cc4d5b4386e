"""Drop-in metrics: every function here that is registered is a column of ``metrics.csv``."""
