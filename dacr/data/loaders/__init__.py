"""One file per data set: how its own table becomes the long table."""
