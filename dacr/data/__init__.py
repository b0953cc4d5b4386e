"""Data in: download, unpickle, convert to one long table, split."""
