"""Work in the background: results, errors, and what is dropped; linear algebra keeps to one thread."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from dacr.core.background import background, one_thread


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_results_come_back_in_whatever_order_they_are_asked_for(n_jobs: int) -> None:
    with background(n_jobs) as submit:
        waiting = [submit(pow, number, 2) for number in range(9)]
        assert [wait() for wait in reversed(waiting)] == [number**2 for number in reversed(range(9))]


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


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_who_waits_works_on_what_has_not_begun(n_jobs: int) -> None:
    begun, go_on, threads = threading.Semaphore(0), threading.Event(), list[threading.Thread]()

    def hold() -> bool:
        begun.release()
        return go_on.wait(20)

    def work(number: int) -> int:
        threads.append(threading.current_thread())
        return number

    with background(n_jobs) as submit:
        held = [submit(hold) for _ in range(n_jobs - 1)]
        assert all(begun.acquire(timeout=20) for _ in held)  # all others are busy
        waiting = [submit(work, number) for number in range(3)]
        assert waiting[2]() == 2
        assert threads == [threading.main_thread()] * 3
        go_on.set()
        assert [wait() for wait in (*held, *waiting)] == [True] * len(held) + [0, 1, 2]


def test_work_that_has_not_begun_is_cancelled_where_the_block_is_left_by_an_error() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), list[int]()

    def hold() -> bool:
        begun.set()
        return go_on.wait(20)

    with pytest.raises(KeyboardInterrupt), background(2) as submit:
        held, last = submit(hold), submit(done.append, 1)
        assert begun.wait(20)
        raise KeyboardInterrupt
    go_on.set()
    assert held()
    with pytest.raises(CancelledError):
        last()
    assert not done


def test_ctrl_c_during_work_that_is_another_result_s_ends_the_wait() -> None:
    with pytest.raises(KeyboardInterrupt), background(1) as submit:
        submit(signal.raise_signal, signal.SIGINT)
        submit(int, "5")()


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


def test_one_thread_holds_within_the_block_and_gives_back_what_was() -> None:
    before = {one["filepath"]: one["num_threads"] for one in threadpool_info()}
    with one_thread():
        assert {one["num_threads"] for one in threadpool_info()} == {1}
    assert {one["filepath"]: one["num_threads"] for one in threadpool_info()} == before


def test_a_library_that_was_loaded_after_an_earlier_block_is_found() -> None:
    code = (
        "import numpy\n"
        "from threadpoolctl import threadpool_info\n"
        "from dacr.core.background import one_thread\n"
        "with one_thread(): early = len(threadpool_info())\n"
        "import scipy.linalg\n"
        "with one_thread(): late = threadpool_info()\n"
        "assert len(late) > early, (early, late)\n"
        "assert {one['num_threads'] for one in late} == {1}, late\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"OPENBLAS_NUM_THREADS": "2", "PATH": ""})
