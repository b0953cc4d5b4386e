"""What was fitted on training rows becomes what a router may know: the one maker of :class:`~dacr.types.Estimates`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dacr.estimates.calibrators.base import Calibrator, Features, Names
from dacr.types import UNKNOWN, Estimates, Floats, Ints, Keys, Outcomes


@dataclass(frozen=True)
class Fitted:
    """Names of models and domains, and the calibrators that stand between a prediction and a router.

    Attributes
    ----------
    models, domains : tuple of str
        A label that is none of ``domains`` is unknown.
    calibrators : sequence of Calibrator or None
        One for each model; None where predictions stand as they are, or are calibrated elsewhere.
    """

    models: tuple[str, ...]
    domains: tuple[str, ...]
    calibrators: Sequence[Calibrator] | None = None

    def estimates(
        self,
        key: Keys,
        x: NDArray[np.float32],
        label: Names,
        raw: Floats,
        cost_hat: Floats,
        p_late: Floats,
        *,
        cost_upper: Floats | None = None,
        p: Floats | None = None,
        domain: Ints | None = None,
        arrival_s: Floats | None = None,
    ) -> Estimates:
        """Return the estimates of ``n`` requests.

        Parameters
        ----------
        key : (n,) uint64
        x : (n, n_feature) float32
        label : (n,) object
            '' where it is not known.
        raw : (n, n_model) float in [0, 1]
            Predictions before calibration.
        cost_hat, p_late : (n, n_model) float
        cost_upper : (n, n_model) float, optional
            By default costs are known: ``cost_hat``.
        p : (n, n_model) float, optional
            Predictions after calibration, where they are at hand.
        domain : (n,) int, optional
            Codes of the labels, where they are at hand.
        arrival_s : (n,) float, optional
            By default 0: requests that come one by one, or never.
        """
        if p is None:
            p = raw if self.calibrators is None else calibrate(self.calibrators, raw, label, x)
        return Estimates(
            key=key,
            features=x,
            domain=self.codes(label) if domain is None else domain,
            p_raw=raw,
            p=p,
            cost_hat=cost_hat,
            cost_upper=cost_hat if cost_upper is None else cost_upper,
            p_late=p_late,
            arrival_s=np.zeros(len(key)) if arrival_s is None else arrival_s,
            models=self.models,
            domains=self.domains,
        )

    def codes(self, label: Names) -> Ints:
        """Return the domain code of each label: (n,)."""
        known = {name: code for code, name in enumerate(self.domains)}
        return np.array([known.get(name, UNKNOWN) for name in label], dtype=np.int64)


def calibrate(calibrators: Sequence[Calibrator], raw: Floats, label: Names, x: Features) -> Floats:
    """Return every model's predictions after calibration: (n, n_model)."""
    each = zip(calibrators, raw.T, strict=True)
    return np.column_stack([one.transform(column, label, x=x) for one, column in each])


def clairvoyant(estimates: Estimates, truth: Outcomes) -> Estimates:
    """Return estimates that are the truth: the setting of earlier work, and the oracle's."""
    return estimates.with_(
        p_raw=truth.quality,
        p=truth.quality,
        cost_hat=truth.cost_usd,
        cost_upper=truth.cost_usd,
        p_late=truth.late.astype(float),
    )
