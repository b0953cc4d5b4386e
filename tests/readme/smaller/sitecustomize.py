"""Commands of the documents on small data: flags come after those that a page shows, and the last one counts.

Python imports this module by its name at every start where the folder is on ``PYTHONPATH``.
"""

import os
import socket
import sys
from pathlib import PurePath

SMALLER = {
    "prepare_routerbench prepare": "--sample 600",
    "make_sample sample": "--sample 500 --models 12",
    "run_experiment run": "--orders 2 --draw false",
    "make_figures figures": "--figures quality_cost,latency_tail,reliability",
    "study_holdouts study": "--orders 2 --budgets 2 --hold_outs mbpp --min_n 10 --routers dacr,static",
    "calibration_study calibration": "--holdouts mbpp --seeds 1,2 --lambdas 0,100 --n_resample 20",
    "run_sweep sweep": "--config small.yaml",
    "collect_latency_openai collect": f"--base_url {os.environ.get('OPENAI_BASE_URL')} --no_pacing",
    "label_domain_openai label": f"--base_url {os.environ.get('OPENAI_BASE_URL')}",
    "play_budget play": "--max_seeds 1",
    "train_ppo train": "--total_timesteps 512",
    "eval_envs eval-envs": "--n_episode 2 --scenarios easy --seed_sets heldout --policies heuristic,ppo,router:dacr",
    "fit_latency fit-latency": "--out fitted.yaml",
    "demo": "--queries 600",
    "tests.benchmarks.scaling": "--sizes 600,800 --rate_queries 1000 --learner_queries 100 --learner_runs 10",
}
STAGES = {stage: flags.split() for stages, flags in SMALLER.items() for stage in stages.split()}

stage, *words = [*sys.argv, ""]
if stage == "-m":
    stage, *words = [*sys.orig_argv[sys.orig_argv.index("-m") + 1 :], ""]
if PurePath(stage).name == "dacr":
    stage, *words = words or [""]
stage = PurePath(stage).name.removesuffix(".py")
unlike = {"--list", "--help", "--print_config"} & {*words} or (stage.startswith("prep") and "--sample" not in words)
if "--serve" in words and "--port" not in words:
    with socket.create_server(("127.0.0.1", 0)) as free:
        sys.argv += ["--port", str(free.getsockname()[1])]
sys.argv += [] if unlike else STAGES.get(stage, [])
