"""Predictors: what a model's answer will be worth, what it will cost, whether it will be late."""
