from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import re, time
from pathlib import Path
import numpy as np
from threadpoolctl import threadpool_limits
from dacr.metrics.resample import draw
threadpool_limits(1)
rng = np.random.default_rng(0)
n_query, n_column = 8000, 15 * 4
quality, cost = rng.random((2, n_query, n_column))
latency = rng.lognormal(size=(n_query, n_column))
late = latency > 3
start = time.process_time()  # what other work on the machine disturbs least
resamples = draw(n_query, n_resample=2000)
for values in (quality, cost, latency, late):
    assert resamples.means(values).shape == (n_column, 2000)
seconds = time.process_time() - start
# Not ru_maxrss: it starts from what the parent process had.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(seconds, peak / 2**20)
"""


@pytest.mark.slow
def test_bootstrap_of_a_whole_table_is_quick_and_small() -> None:
    """15 routers x 4 lambdas x 8,000 queries x 2,000 resamples of four means: 15 s of one core, 1 GiB."""
    root = Path(__file__).resolve().parent.parent.parent
    done = subprocess.run([sys.executable, "-c", CODE], cwd=root, capture_output=True, text=True, check=True)
    seconds, gib = map(float, done.stdout.split())
    print(f"{seconds:.1f} s, {gib:.2f} GiB")
    assert seconds < 15
    assert gib < 1
