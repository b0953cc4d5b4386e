"""Ground that every room stands on: caches, files, flags, names, draws."""
