"""Whether models of an incomplete recording stand on like queries."""

from __future__ import annotations

import numpy as np
import pytest

from dacr.core.rng import generator
from dacr.experiment import checks
from dacr.experiment.checks.inputs import gaps


def test_by_hand() -> None:
    """The first model lacks the hard half, where the second has .25 and not .75: its queries are .5 easier."""
    easy = np.repeat([True, False], 20)
    quality = np.column_stack([np.where(easy, 1.0, np.nan), np.where(easy, 0.75, 0.25)])
    assert gaps(quality).tolist() == pytest.approx([0.5, 0.0])
    assert gaps(quality[10:30]).tolist() == pytest.approx([0.5, 0.0]) and gaps(quality[11:29]).tolist() == [0.0, 0.0]


def test_what_is_missing_by_chance_is_no_finding_and_what_is_not_is() -> None:
    rng = generator("unlike queries")
    hard = rng.random(600)
    quality = (rng.random((600, 4)) > hard[:, None]).astype(float)
    by_chance = np.where(rng.random(quality.shape) < 0.3, np.nan, quality)
    harder = quality.copy()
    harder[hard < 0.3, 2] = np.nan
    for values, status in ((quality, "passed"), (by_chance, "passed"), (harder, "found")):
        found = checks.run(checks.Context(quality=values, models=("a", "b", "c", "d")))
        row = found.set_index("code").loc["DACR018"]
        assert row["status"] == status
    assert "c (-0." in row["message"] and "a (" not in row["message"] and row["severity"] == "warning"
