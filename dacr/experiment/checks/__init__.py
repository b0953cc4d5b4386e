"""Methodological checks with stable codes, like a linter's rules: see ``docs/checks.md``.

A check is a registered function from a :class:`Context` to findings. One whose inputs are absent is *not
applicable*, with the reason; silence is never taken for a pass.
"""

from dacr.experiment.checks.registered import (
    CalibratorUse,
    Check,
    Context,
    Found,
    check,
    distinct_features,
    findings,
    run,
    to_text,
)

__all__ = ["CalibratorUse", "Check", "Context", "Found", "check", "distinct_features", "findings", "run", "to_text"]
