"""Memory that was freed goes back."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from dacr.core import memory

MIB = 2**20


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and other C libraries give back by themselves")
def test_small_pieces_between_others_that_stay_are_given_back() -> None:
    pieces = [bytes([k % 256]) * 1000 for k in range(200_000)]
    stay = pieces[::1000]
    del pieces
    before = resident()
    memory.release()
    assert before - resident() > 100 * MIB
    assert len(stay) == 200
    memory.release()  # nothing to give back is no error


def test_no_cycle_is_collected_meanwhile_and_errors_change_nothing() -> None:
    with pytest.raises(ValueError, match="drawn"), memory.uncollected():
        assert not gc.isenabled()
        with memory.uncollected():
            pass
        assert not gc.isenabled()
        raise ValueError("drawn")
    assert gc.isenabled()
