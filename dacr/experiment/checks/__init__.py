"""Methodological checks with stable codes, like a linter's rules: see ``docs/checks.md``.

A check is a registered function from a :class:`Context` to findings. One whose inputs are absent is *not
applicable*, with the reason; silence is never taken for a pass.
"""

from dacr.experiment.checks import inputs, outcomes
from dacr.experiment.checks.context import CalibratorUse, Context, distinct_features
from dacr.experiment.checks.registered import CHECKS, Finding, Result, check, findings, run, to_frame, to_text

__all__ = [
    "CHECKS",
    "CalibratorUse",
    "Context",
    "Finding",
    "Result",
    "check",
    "distinct_features",
    "findings",
    "inputs",
    "outcomes",
    "run",
    "to_frame",
    "to_text",
]
