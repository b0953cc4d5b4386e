"""Off-policy evaluation: policies judged from what another one logged."""
