"""Calibrated predictions and the slopes behind them, kept by content: shared work is done once."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dacr.core.cache import Cache, content_hash, identity
from dacr.estimates.calibrators.base import Calibrator, Features, Names
from dacr.estimates.fitted import calibrate
from dacr.types import Floats


def calibrated(
    make: type[Calibrator],
    fitted: Callable[[], tuple[Calibrator, ...]],
    raw: Floats,
    domain: Names,
    x: Features,
    cache: Cache,
    fitted_on: Mapping[str, Any],
) -> tuple[Floats, Floats]:
    """Return the predictions of every model after calibration, and each model's slope.

    Parameters
    ----------
    make : type
        The calibrator; what one from outside the package gives is not kept.
    fitted : callable
        Returns one fitted calibrator per model; asked only where the result is not known.
    raw : (n, n_model) float
    domain : (n,) object
    x : (n, n_feature) float32
    fitted_on : mapping
        All that the calibrators are fitted on, for the key.

    Returns
    -------
    p : (n, n_model) float in [0, 1]
    slope : (n_model,) float
        ``a_`` of each calibrator; NaN for those that have none.
    """

    def compute() -> dict[str, np.ndarray]:
        ready = fitted()
        slope = np.array([getattr(one, "a_", np.nan) for one in ready], dtype=np.float64)
        return {"p": calibrate(ready, raw, domain, x), "slope": slope}

    parts = {
        "made_by": identity(make),
        "raw": raw,
        "x": x,
        "domain": list(domain),
        "fitted_on": content_hash(fitted_on),
    }
    known = cache.get("calibrated", parts, compute, made_by=(make,))
    return known["p"], known["slope"]
