"""The conductor, and what is made of several experiments."""
