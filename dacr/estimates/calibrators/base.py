"""The contract of calibrators: one model at a time, fractional labels as they are.

A calibrator maps predicted quality to predicted quality that can be believed. It is fitted on *training*
predictions of the kind that its class attribute ``fitted_on`` names:

=========  ===========================================================================
oof        out-of-fold: the predictor did not see the row
lodo       leave-one-domain-out: the predictor did not see the row's domain
insample   the predictor was fitted on the very rows (a cautionary tale)
=========  ===========================================================================
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from dacr.types import Floats

FittedOn = Literal["oof", "lodo", "insample"]
Names = NDArray[np.object_]
Features = NDArray[np.float32]

CLIP = 1e-4
"""Logits are those of p clipped to [CLIP, 1 - CLIP]: probabilities of exactly 0 and 1 stay finite."""


class Calibrator:
    """``fit(p, y, domain)`` on training predictions, ``transform(p, domain)`` on any.

    Subclasses write ``_fit`` and ``_transform``; this class checks what comes in and what goes out.

    Attributes
    ----------
    fitted_on : {"oof", "lodo", "insample"}
        Which training predictions it wants.
    monotone : bool
        Whether, within one domain, a larger p never gets a smaller result.
    order_matters : bool
        Whether the result for a row depends on the rows before it.
    uses_x : bool
        Whether it reads the features ``x``.
    uses_unseen : bool
        Whether it also learns from predictions for training domains that the predictor did not see.
    """

    name: ClassVar[str] = ""
    fitted_on: ClassVar[FittedOn] = "oof"
    monotone: ClassVar[bool] = False
    order_matters: ClassVar[bool] = False
    uses_x: ClassVar[bool] = False
    uses_unseen: ClassVar[bool] = False

    def __init__(self) -> None:
        pass

    @classmethod
    def unavailable(cls) -> str:
        """Return why it can't be used here (a package that is missing), or ''."""
        return ""

    @property
    def params(self) -> dict[str, Any]:
        """Constructor arguments by name."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        return {name: getattr(self, name) for name in names}

    def fit(
        self,
        p: ArrayLike,
        y: ArrayLike,
        domain: ArrayLike,
        x: Features | None = None,
        p_unseen: ArrayLike | None = None,
    ) -> Calibrator:
        """Learn from training predictions.

        Parameters
        ----------
        p : (n,) float in [0, 1]
            Predictions of the kind that ``fitted_on`` names.
        y : (n,) float in [0, 1]
            Quality; fractional values weight the labels 1 and 0 with y and 1 - y.
        domain : (n,) str
            '' where unknown.
        x : (n, n_feature) float, optional
        p_unseen : (n,) float in [0, 1], optional
            Leave-one-domain-out predictions for the same rows, for those with ``uses_unseen``.

        Raises
        ------
        ValueError
            Shapes that differ, no rows, or values that are not finite or outside [0, 1].
        """
        checked_p, names = _checked(p, domain, x)
        checked_y = _unit("y", y)
        if checked_y.shape != checked_p.shape or len(checked_p) == 0:
            raise ValueError(f"expected n > 0 values each of p and y, got {checked_p.shape} and {checked_y.shape}")
        self._fit(checked_p, checked_y, names, x)
        if p_unseen is not None and self.uses_unseen:
            self._fit_unseen(_checked(p_unseen, domain, x)[0], checked_y, names)
        self.n_fit_ = len(checked_p)
        return self

    def transform(self, p: ArrayLike, domain: ArrayLike, x: Features | None = None) -> Floats:
        """Return calibrated predictions: ``(n,)`` float in [0, 1].

        Raises
        ------
        RuntimeError
            Not fitted yet.
        ValueError
            As for :meth:`fit`.
        """
        self.check_is_fitted()
        checked_p, names = _checked(p, domain, x)
        if len(checked_p) == 0:
            return checked_p
        return np.clip(self._transform(checked_p, names, x), 0.0, 1.0)

    def check_is_fitted(self) -> None:
        """Raise RuntimeError before :meth:`fit`."""
        if not hasattr(self, "n_fit_"):
            raise RuntimeError(f"this {type(self).__name__} is not fitted yet; call fit(p, y, domain) first")

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        raise NotImplementedError

    def _fit_unseen(self, p: Floats, y: Floats, domain: Names) -> None:
        raise NotImplementedError

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        raise NotImplementedError


def logits(p: Floats) -> Floats:
    """Return log p / (1 - p) of p clipped to [CLIP, 1 - CLIP]."""
    return logit(np.clip(p, CLIP, 1 - CLIP))


def codes_of(domain: Names) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct names, sorted, and each row's index into them."""
    code, names = pd.factorize(domain, sort=True)
    return [str(name) for name in names], code.astype(np.int64)


def smoothed_rate(y: Floats) -> float:
    """Return (sum y + 1/2) / (n + 1): the base rate, never exactly 0 or 1 (Krichevsky and Trofimov 1981).

    Examples
    --------
    >>> smoothed_rate(np.array([1.0, 1.0, 1.0]))
    0.875
    """
    return float((y.sum() + 0.5) / (len(y) + 1))


def _unit(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"expected {name} of shape (n,), got {array.shape}; give one model at a time")
    if not (np.isfinite(array).all() and (array >= 0).all() and (array <= 1).all()):
        raise ValueError(f"{name} must be finite and lie in [0, 1]")
    return array


def _checked(p: ArrayLike, domain: ArrayLike, x: Features | None) -> tuple[Floats, Names]:
    values = _unit("p", p)
    names = np.asarray(domain, dtype=object)
    if names.shape != values.shape:
        raise ValueError(f"expected one domain per prediction, got {names.shape} and {values.shape}")
    if x is not None and len(x) != len(values):
        raise ValueError(f"expected one row of x per prediction, got {len(x)} and {len(values)}")
    missing = pd.isna(names)
    return values, np.where(missing, "", names) if missing.any() else names
