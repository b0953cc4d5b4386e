"""Where the YAML files of ``configs/`` are, whatever the working folder."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

# In a checkout they stand beside the package; a wheel holds them as dacr.configs.
CONFIGS: Path = next(
    (folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if (folder / "models.yaml").is_file()),
    _PACKAGE / "configs",
)
"""Folder of models.yaml, chain.yaml, rules.yaml, latency.yaml, scenarios.yaml, sweep.yaml and their like."""
