"""What every process of an experiment imports before it works: nothing that takes long and may not be needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("sklearn", "scipy.stats", "openai", "matplotlib", "huggingface_hub", "gymnasium", "numba")
CODE = f"""
import json, sys
import dacr.experiment.run, dacr.experiment.off_policy
from dacr.core import registry
for kind in (registry.routers, registry.predictors, registry.calibrators, registry.protocols):
    assert kind.names()
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def test_a_saved_router_is_read_and_tried_without_them(
    sample_long: Path, tmp_path: Path, stage: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    words = ["--data", sample_long, "--routers", "dacr", "--lambdas", "50", "--orders", "1", "--results_dir"]
    done = stage("run_experiment.py", *words, tmp_path / "r", "--save_router", tmp_path / "x.router")
    assert done.returncode == 0, done.stderr
    code = f"""
import json, sys
from dacr.replay.saved import load_router
saved = load_router({str(tmp_path / "x.router")!r})
found = [name for name in (*{HEAVY!r}, "scipy.optimize") if name in sys.modules]
assert saved.decide(saved.estimates(["Is this a router?"])).order
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_an_experiment_starts_without_what_it_may_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
