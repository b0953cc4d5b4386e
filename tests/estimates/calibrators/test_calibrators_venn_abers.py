from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.estimates.calibrators.venn_abers import VennAbersCalibrator

installed = pytest.mark.skipif(bool(VennAbersCalibrator.unavailable()), reason=VennAbersCalibrator.unavailable())


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install venn-abers" in VennAbersCalibrator.unavailable()
    with pytest.raises(UserError, match="pip install venn-abers"):
        VennAbersCalibrator()


@installed
@pytest.mark.parametrize("levels", [1, 4])
def test_equals_two_isotonic_fits(levels: int) -> None:
    rng = generator("venn", levels)
    p = np.round(rng.uniform(0.05, 0.95, 60), 3)
    y = np.round(np.clip(p + rng.normal(0, 0.3, 60), 0, 1) * levels) / levels
    fitted = VennAbersCalibrator().fit(p, y, ["d"] * 60)
    assert fitted.guaranteed_ is (levels == 1)
    for asked in (0.2, 0.5, 0.801):
        ends = []
        for label in (0.0, 1.0):
            curve = IsotonicRegression().fit(np.append(p, asked), np.append(y, label))
            ends.append(float(curve.predict([asked])[0]))
        assert fitted.transform([asked], ["d"])[0] == pytest.approx(ends[1] / (1 - ends[0] + ends[1]), abs=1e-6)
