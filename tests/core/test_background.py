"""Work in the background: results, errors, and what is dropped."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

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


SLOW = """
import time
from pathlib import Path
from dacr.core.registry import routers

@routers.register("slow")
class Slow(routers.get("linucb")):
    def observe(self, feedback):
        Path({mark!r}).touch()
        time.sleep(0.05)
        super().observe(feedback)
"""


def test_ctrl_c_while_learners_play_is_one_line_and_leaves_nothing(sample_long: Path, tmp_path: Path) -> None:
    mark, plugin, results = tmp_path / "playing", tmp_path / "slow.py", tmp_path / "results"
    plugin.write_text(SLOW.format(mark=str(mark)), encoding="utf-8")
    words = ["run", "--data", sample_long, "--results_dir", results, "--routers", "slow,zero", "--n_jobs", "2"]
    command = [sys.executable, "-m", "dacr", *map(str, words), "--plugin", str(plugin)]
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what a shell starts behind & is deaf
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    while not mark.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out, err
    assert err == "stopped by Ctrl-C; nothing half-written was kept\n"
    assert not results.exists() or not any(results.iterdir())
