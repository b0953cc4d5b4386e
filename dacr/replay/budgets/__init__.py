"""Budgets that are enforced: prices that pace money and lateness, and the ledger that refuses what can't be paid."""
