#!/usr/bin/env python
"""Hold out each family of domains in turn and compare routers there, by area and under enforced budgets."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
