"""Tests of sweeps: a package, so that its fixtures stand beside those of other folders."""
