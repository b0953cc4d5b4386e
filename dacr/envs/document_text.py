"""The words of ``docs/environments.md``; the numbers come from results."""

from __future__ import annotations

INTRODUCTION = """\
# Environments

Two [Gymnasium](https://gymnasium.farama.org) environments in which a router is trained, or graded while its
providers degrade. This page is written by one command from what it measured:

    pip install -r requirements-rl.txt
    for s in 0 1 2 3 4; do
      python scripts/train_ppo.py --env LLMRouter-v0 --seed $s --output_dir results_dacr/ppo/preset_$s
      python scripts/train_ppo.py --env LLMRouter-v0 --queue_latency 4 --seed $s \\
        --output_dir results_dacr/ppo/queue_latency_4_$s
    done
    for c in easy medium hard hard_multi; do
      python scripts/train_ppo.py --env BudgetRouter-v0 --scenario $c --output_dir results_dacr/ppo/$c
    done
    python scripts/train_ppo.py --env BudgetRouter-v0 --scenario shuffled_hard_multi --mode strict \\
      --output_dir results_dacr/ppo/shuffled_hard_multi
    python scripts/eval_envs.py --doc docs/environments.md

Each training is 100,000 steps, one to two minutes on one core. Without trained networks the last command leaves
PPO out.

```python
import gymnasium as gym
import dacr.envs                                    # registers both

env = gym.make("LLMRouter-v0", episode_length=500, budget=5.0)
env = gym.make("LLMRouter-v0", queue_latency=4.0)   # queues that matter
env = gym.make("LLMRouter-v0", data="data/routerbench_long.parquet")   # recorded outcomes of a benchmark
envs = gym.make_vec("LLMRouter-v0", 1024, vectorization_mode="vector_entry_point")   # > 1,000,000 steps a second
env = gym.make("BudgetRouter-v0", scenario="hard_multi", mode="strict")
```

    python scripts/play_budget.py --policy heuristic --scenario hard_multi --seed_set heldout --output_path out.json
    API_BASE_URL=http://localhost:11434/v1 MODEL_NAME=qwen3 python scripts/play_budget.py --policy llm --show_answers

**Every router of the project plays in both** (`--policy router:NAME`). It gets estimates that an agent can make
from what it observes: in the budget router a filter of two hidden states per provider (sound, degraded), in the
fleet a regression on the state; both fitted on training episodes that are in no seed set. Its price of a dollar
and of a late answer are not tuned: they are what the grader, or the reward, pays for them in units of one
success. Neither observation nor `info` holds an onset or a reliability.

*Faithful* mode reproduces the published system draw for draw, its faults included: money in floats, and
denominators that shrink when an episode goes bankrupt. *Strict* mode counts money in whole nano-dollars and
grades over all 20 steps: a request that was not served is no success, takes the full SLA and breaks it.

Intervals are 95 % Student's t over episodes (for PPO in the fleet: over trainings). Differences are paired by
episode. A difference whose own interval excludes 0 is **bold**; a star means that it stays so after Holm's
correction over all comparisons of the table.
"""

STRICT_TEXT = """\
In the published scenarios the degradation is a function of the step, which the agent sees, so a schedule fixed
in advance beats every agent. In `shuffled` the targets (two of three providers), the onset (steps 2-12) and the
recovery (6-8 steps later) are drawn anew in each episode and hidden; in `flapping` two providers go down and up
again, again and again. `open loop` is here the best fixed schedule by a search on training seeds (`A20`: where
no onset can be known, no switch pays), `open loop (base)` the one made for the scenario without the variant.
Ten episodes tell differences of about .07 apart, a hundred tell .02: read the second table.
"""

END = """\
## What this does not show

- The fleet is simulated: its reward ranks policies, it does not predict a bill. In the preset fleet queues are
  decoration and one model dominates, so the optimum ignores the state and no router can beat the best constant
  model. The promise that reinforcement learning is "15-25 % cheaper than static" there is false: it learns to
  be static.
- The grader is the published one. It pays .15 for unspent money, so that a cheap provider that fails now and
  then grades well: read the reward beside it.
- Grader and reward disagree. PPO maximises the reward; routers here use the grader's prices.
- The filter is fitted on training episodes of the same scenario. Under a scenario that it was not fitted on it
  would be worse.
- No LLM was called for this page: `--policy llm` is tested against a local server that also answers nonsense,
  hangs and fails.
"""


def published_note() -> str:
    """Return what the published agents scored, for comparison."""
    return """\
Published grades on the development seeds, for comparison: a 72B LLM with the money guard .7360 / .7250 / .6832
/ .6746 (easy to hard_multi); PPO on hard_multi .6907. The fixed schedule `A1 B8 C6 shed5` is above both. On
`easy` always-A beats the heuristic by the grade and loses to it by the reward.
"""
