"""What a part has to keep, as functions for a plug-in's own tests: ``check_router(MyRouter)`` and its kin.

Each takes a registered part and raises :class:`~dacr.contracts.rules.Broken`, an AssertionError that names the rule and
how it is broken. The contract tests of this project run the same rules over every registered part.
"""

from dacr.contracts.calibrator import check_calibrator
from dacr.contracts.check import check_check
from dacr.contracts.figure import check_figure
from dacr.contracts.loader import check_loader
from dacr.contracts.metric import check_metric
from dacr.contracts.predictor import check_predictor
from dacr.contracts.router import check_router
from dacr.contracts.rules import Broken

__all__ = [
    "Broken",
    "check_calibrator",
    "check_check",
    "check_figure",
    "check_loader",
    "check_metric",
    "check_predictor",
    "check_router",
]
