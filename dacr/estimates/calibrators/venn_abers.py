"""Venn-Abers prediction, an optional part: it needs the package ``venn-abers``."""

from __future__ import annotations

import importlib
import importlib.util
import threading
import warnings
from typing import ClassVar

import numpy as np

from dacr.core.errors import UserError
from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, Features, Names
from dacr.types import Floats

_ONE_AT_A_TIME = threading.Lock()
"""Silencing warnings changes the whole process, and models are fitted in threads."""


@calibrators.register("venn_abers")
class VennAbersCalibrator(Calibrator):
    """p -> p1 / (1 - p0 + p1) of the inductive Venn-Abers predictor (Vovk, Petej and Fedorova 2015).

    p0 and p1 are isotonic fits with the new row added as a failure and as a success. The method's
    validity guarantee is for 0/1 labels and exchangeable rows. **For fractional labels there is none**,
    and under domain shift rows are not exchangeable; the fits themselves are defined for any label in
    [0, 1], and ``guaranteed_`` says whether all labels were 0 or 1.

    Parameters
    ----------
    precision : int
        Decimals to which p is rounded first: bounds the number of steps, and so the time.

    Attributes
    ----------
    guaranteed_ : bool

    Raises
    ------
    UserError
        The package is not installed.
    """

    monotone: ClassVar[bool] = True

    def __init__(self, *, precision: int = 3) -> None:
        reason = self.unavailable()
        if reason:
            raise UserError(reason)
        self.precision = precision

    @classmethod
    def unavailable(cls) -> str:
        """Return what to install where the package is missing, or ''."""
        if importlib.util.find_spec("venn_abers") is None:
            return "calibrator 'venn_abers' needs a package that is not installed; type: pip install venn-abers"
        return ""

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        self.guaranteed_ = bool(np.isin(y, (0.0, 1.0)).all())
        found = importlib.import_module("venn_abers").VennAbers()
        # Its search for the steepest chord divides 0 by 0 at the chord's own end, and skips the NaN.
        with _ONE_AT_A_TIME, warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            found.fit(_two_columns(p), y, precision=self.precision)
        self.curves_ = found

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        both, _ = self.curves_.predict_proba(_two_columns(np.round(p, self.precision)))
        return np.asarray(both[:, 1], dtype=np.float64)


def _two_columns(p: Floats) -> Floats:
    return np.column_stack([1.0 - p, p])
