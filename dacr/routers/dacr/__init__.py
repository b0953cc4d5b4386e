"""DACR: domain-adaptive calibrated routing."""
