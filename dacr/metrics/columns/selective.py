"""What a router's confidence in its answers is worth: metrics of :mod:`dacr.metrics.selective`."""

from functools import partial
from typing import Any

import numpy as np

from dacr.metrics.metric import Remembered, metric, where_known
from dacr.metrics.selective import area, quality_at, risk_so_far
from dacr.types import Floats


@Remembered
def _risk(confidence: Floats, quality: Floats) -> Any:
    """Return the area under the risk-coverage curve, and the quality at each of the shares, in the last axis."""
    return where_known(_measures, ~np.isnan(confidence), confidence, quality)


_SHARES = (80, 90, 95)


def _measures(confidence: Floats, quality: Floats) -> Floats:
    risk = risk_so_far(confidence, quality)
    return np.stack([area(risk), *(quality_at(risk, share / 100) for share in _SHARES)], axis=-1)


@metric("aurc", "p_hat", "quality", abreast=True)
def aurc(confidence: Floats, quality: Floats) -> Any:
    """Area under the risk-coverage curve."""
    return _risk(confidence, quality).T[0]


def quality_of_the_surest(confidence: Floats, quality: Floats, place: int) -> Any:
    """Mean quality of the share of answers of the highest confidence."""
    return _risk(confidence, quality).T[place]


for _place, _share in enumerate(_SHARES, 1):
    _of_place = partial(quality_of_the_surest, place=_place)
    metric(f"quality_at_{_share}", "p_hat", "quality", abreast=True)(_of_place)
