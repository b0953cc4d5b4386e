"""DACR: an offline research pipeline for LLM routing, honest about what a router can know."""

from importlib import import_module
from typing import Any

__version__ = "0.2.0.dev0"

_LAZY = {
    "prepare": "dacr.data.prepare:prepare_routerbench",
    "load": "dacr.data.table:load",
    "run": "dacr.experiment.notebook.results:run",
    "ExperimentSettings": "dacr.experiment.settings:ExperimentSettings",
    "ExperimentResults": "dacr.experiment.notebook.results:ExperimentResults",
}
"""What a notebook asks for, and where it stands: imported when it is asked for. ``__init__.pyi`` has the types."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dacr' has no attribute {name!r}; it has {', '.join(_LAZY)}")
    module, _, attribute = _LAZY[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
