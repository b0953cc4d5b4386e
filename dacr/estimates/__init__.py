"""What a router may know: predictions, calibrated; costs; lateness."""
