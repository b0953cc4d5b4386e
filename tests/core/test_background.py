"""Work in the background: results, errors, and what is dropped."""

from __future__ import annotations

import sys
import threading

import pytest

from dacr.core.background import background


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_results_come_back_in_whatever_order_they_are_asked_for(n_jobs: int) -> None:
    before = sys.getswitchinterval()
    with background(n_jobs) as submit:
        waiting = [submit(pow, number, 2) for number in range(9)]
        assert [wait() for wait in reversed(waiting)] == [number**2 for number in reversed(range(9))]
    assert sys.getswitchinterval() == before


def test_so_many_work_at_once_and_no_more() -> None:
    both = threading.Barrier(2, timeout=20)  # passed where two are under way
    under_way, most = [0], []

    def work() -> None:
        under_way[0] += 1
        both.wait()
        most.append(under_way[0])
        both.wait()
        under_way[0] -= 1
        both.wait()

    with background(2) as submit:
        for wait in [submit(work) for _ in range(4)]:
            wait()
    assert max(most) == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_is_raised_where_the_result_is_asked_for(n_jobs: int) -> None:
    with background(n_jobs) as submit:
        wait, fine = submit(int, "no number"), submit(int, "5")
        with pytest.raises(ValueError, match="no number"):
            wait()
        assert fine() == 5


def test_work_that_has_not_begun_is_dropped_where_the_block_is_left_by_an_error() -> None:
    go_on, done = threading.Event(), list[int]()
    with pytest.raises(KeyboardInterrupt), background(2) as submit:
        held = [submit(go_on.wait, 20) for _ in range(2)]
        last = submit(done.append, 1)
        raise KeyboardInterrupt
    go_on.set()
    assert all(wait() for wait in held)
    assert last() is None and not done
