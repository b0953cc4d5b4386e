"""The study of hold-outs: every family of domains left out in turn, and whether a gain holds there."""
