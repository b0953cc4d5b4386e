"""``--calibrators all`` says what it leaves out, and why."""

from __future__ import annotations

import pytest

from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.registry import calibrators
from dacr.experiment.calibration.tables import compared, unusable
from dacr.experiment.settings import ExperimentSettings

WHY = "calibrator needs a package that is not installed; type: pip install it"


@pytest.mark.parametrize("name", ["venn_abers", "beta"])
def test_all_leaves_out_what_can_not_be_used_here(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrators.get(name), "unavailable", classmethod(lambda cls: WHY))
    every = ExperimentSettings(calibrators=StrList(["all"]))
    assert unusable(every)[name] == WHY and name not in compared(every)
    assert set(compared(every)) | set(unusable(every)) == set(calibrators.names())
    named = ExperimentSettings(calibrators=StrList([name]))
    assert unusable(named) == {}
    with pytest.raises(UserError, match="pip install it"):
        compared(named)


def test_nothing_is_said_where_nobody_asked_for_all() -> None:
    assert unusable(ExperimentSettings()) == {}
