"""Every registered calibrator keeps the contract, on ordinary and on degenerate inputs."""

from __future__ import annotations

import pytest

from dacr.contracts.calibrator import RULES
from dacr.core.registry import calibrators

NAMES = [name for name, part in calibrators.items() if not part.unavailable()]
MONOTONE = [name for name in NAMES if calibrators.get(name).monotone]


def test_finds_calibrators() -> None:
    assert len(NAMES) >= 10
    assert {"identity", "platt", "base_rate", "base_slope", "by_domain", "shift", "platt_insample"} <= set(NAMES)
    assert {"identity", "isotonic", "base_slope"} <= set(MONOTONE) != set(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_calibrator(name, rule) -> None:
    rule(calibrators.get(name))
