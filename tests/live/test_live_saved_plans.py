"""A router that chooses among models and plans, saved, and served: it decides and pays live as in replay."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fault_server import FaultServer

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, StrList
from dacr.core.errors import UserError
from dacr.data.table import RoutingTable
from dacr.experiment.off_policy.of_log import saved as target_of
from dacr.experiment.off_policy.one_arm import OneArmLog
from dacr.experiment.settings import ExperimentSettings
from dacr.live.gateway import SavedSelector
from dacr.live.request import ChainAttempt, ChainResult
from dacr.live.route import RouteSettings, build
from dacr.replay.play import enter, play
from dacr.replay.saved import SavedRouter, load_router, save_from_setup
from dacr.replay.setup import Setup, set_up
from dacr.replay.state_file import write_state
from dacr.routers.plans.base import STOP, Plan, Replies, parse_plan
from dacr.routers.plans.gate import Gate
from dacr.types import Bools, Ints

N, N_MODEL = 360, 4
COST = np.array([1e-4, 1.2e-4, 4e-4, 6e-3])


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """Three domains, one of them held out; cheap models that err apart, and a dear one that is right nearly always."""
    rng = np.random.default_rng(0)
    domain = np.array(["north", "east", "south"], dtype=object)[np.arange(N) % 3]
    right = rng.random((N, N_MODEL)) < np.array([0.72, 0.74, 0.78, 0.97])
    said = np.where(right, np.arange(N)[:, None], 1000 * (1 + np.arange(N_MODEL)) + rng.integers(0, 400, (N, N_MODEL)))
    table = RoutingTable(
        qid=np.array([f"q{i}" for i in range(N)], dtype=object),
        prompt=np.array([f"How many are {i} and {i % 7}?" for i in range(N)], dtype=object),
        domain=domain,
        model=("a", "b", "c", "d"),
        quality=right.astype(float),
        cost_usd=COST * rng.uniform(0.7, 1.3, (N, N_MODEL)),
        latency_s=rng.uniform(0.5, 4.0, (N, N_MODEL)),
        response=pa.array([f"It is {value}." for value in said.ravel()]),
    )
    file = tmp_path_factory.mktemp("plans") / "plans.txt"
    file.write_text("gate(a, b > d)\ncue(a > d)\ncue_gate(a, b > d)\nmajority(a, b, c > d)\n")
    settings = ExperimentSettings(ood_holdout=StrList(("south",)), lambdas=FloatList((40.0,)), lambda_lat=0.0, n_jobs=1)
    return set_up(replace(settings, plans=str(file), dacr_lambda_lat=0.0), table, Cache(None))[1]


@pytest.fixture(scope="module")
def paths(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("saved")
    made = {name: folder / f"{name}.router" for name in ("consensus", "dacr", "best_single")}
    for name, path in made.items():
        save_from_setup(path, setup, name)
    return made


@pytest.mark.parametrize("name", ["consensus", "dacr"])
def test_estimates_of_every_arm_are_those_of_replay(name: str, setup: Setup, paths: dict[str, Path]) -> None:
    saved, test = load_router(paths[name]), setup.estimator.test
    expected = enter(name, setup).requests
    got = saved.estimates(list(setup.estimator.table.prompt[test]), list(setup.estimator.table.domain[test]))
    assert got.models == setup.arm_names and [plan.name for plan in saved.plans] == [
        "gate",
        "cue",
        "cue_gate",
        "majority",
    ]
    for column in ("p_raw", "p", "cost_hat", "cost_upper", "p_late"):
        np.testing.assert_allclose(getattr(got, column), getattr(expected, column), rtol=1e-5, err_msg=column)


def test_a_router_that_takes_no_plans_is_saved_without_them(paths: dict[str, Path]) -> None:
    saved = load_router(paths["best_single"])
    assert saved.plans == () and saved.arms == ("a", "b", "c", "d")


def test_live_as_in_replay(setup: Setup, paths: dict[str, Path], tmp_path: Path) -> None:
    """The recorded answers, served: the same arms, the same calls, the same answers shipped."""
    entry = enter("consensus", setup)
    (played,) = play(entry, setup.world)
    arms, table, test = setup.arms, setup.estimator.table, setup.estimator.test[played.row[0]]
    assert arms is not None and table.response is not None
    told = dict(zip(((q, m) for q in table.prompt for m in table.model), table.response.to_pylist(), strict=True))
    (tmp_path / "models.yaml").write_text("models: {a: {}, b: {}, c: {}, d: {}}")

    async def go(url: str) -> list[ChainResult]:
        gateway = build(RouteSettings(router=str(paths["consensus"]), config=tmp_path / "models.yaml", base_url=url))
        asked = [[{"role": "user", "content": str(table.prompt[row])}] for row in test]
        results = await asyncio.gather(*(gateway.answer(one) for one in asked))
        await gateway.aclose()
        return list(results)

    with FaultServer(lambda model, prompt, nth: {"text": told[prompt, model]}).running() as server:
        results = asyncio.run(go(server.url))
    assert [one.arm for one in results] == [arms.names[k] for k in played.model[0]]
    assert [len(one.called) for one in results] == played.attempts[0].tolist()
    n_plan = sum("(" in one.arm for one in results)
    assert n_plan > 60 and len({one.shipped for one in results if "(" in one.arm}) == 2, "both ends of a plan"
    quality = dict(zip(((q, m) for q in table.prompt for m in table.model), table.quality.ravel(), strict=True))
    shipped = [quality[table.prompt[row], one.model_used] for row, one in zip(test, results, strict=True)]
    assert shipped == played.quality[0].tolist()
    assert len(server.requests) == played.attempts[0].sum()
    assert [one.confidence for one in results] == pytest.approx(played.p_hat[0], abs=6e-5)


def attempt(model: str, outcome: str = "success", cost: float | None = 2e-4, number: int = 1) -> ChainAttempt:
    return ChainAttempt(model, outcome, "", 1000.0, cost, round=number)


def test_a_learner_is_told_whether_models_agreed(paths: dict[str, Path]) -> None:
    """Agreement makes a plan cheaper, disagreement dearer; a probe that failed tells neither, nor what it costs."""

    def cost_after(outcome: str, shipped: str, cost: float = 2e-4, times: int = 25) -> np.ndarray:
        selector = SavedSelector(load_router(paths["dacr"]))
        saved = selector._saved
        request = saved.estimates(["p"])
        saved.decide(request)
        arm = len(saved.models)
        decided = replace(saved.decide(request), arm=arm, members=saved.plans[0].members)
        a, b, c = decided.members
        for _ in range(times):
            calls = [attempt(a, outcome, cost), attempt(b)] + ([] if shipped == "settled" else [attempt(c, number=2)])
            selector._tell(decided, calls, shipped)
        return saved.router.beliefs(request).cost_hat[0, : arm + 1]

    before, failed = cost_after("success", "settled", times=0), cost_after("rejected", "went_on", 0.0)
    agreed, not_agreed = cost_after("success", "settled"), cost_after("success", "went_on")
    share = [float((one[-1] - one[:2].sum()) / one[3]) for one in (failed, agreed, not_agreed)]
    assert share[1] < share[0] < share[2]
    np.testing.assert_array_equal(failed[:-1], before[:-1])
    assert share[0] < float((before[-1] - before[:2].sum()) / before[3]), "fewer plans are under way"


class Endless(Plan):
    """A plan without an end: it asks a again and again."""

    name = "endless"

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        return np.ones_like(replies.asked), np.full(len(replies.asked), STOP)


def test_a_plan_that_can_not_be_served_is_refused_in_one_line(paths: dict[str, Path], tmp_path: Path) -> None:
    saved: SavedRouter = load_router(paths["consensus"])
    other = tmp_path / "x.router"
    write_state(other, replace(saved, plans=(parse_plan("gate(a, b > gpt-9)"), *saved.plans[1:])))
    with pytest.raises(UserError, match=r"does not decide \(ValueError\); save it again"):
        load_router(other)
    with pytest.raises(UserError, match="that class is not known"):
        write_state(other, replace(saved, plans=(Endless(["a", "b"], "c"),)))
    write_state(other, replace(saved, plans=saved.plans[:-1]))
    with pytest.raises(UserError, match="save it again"):
        load_router(other)


def test_a_plan_in_a_file_that_asks_on_is_refused(
    paths: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gate, "step", Endless.step)
    with pytest.raises(UserError, match=r"does not decide \(ValueError\); save it again"):
        load_router(paths["consensus"])


def test_no_log_of_single_calls_tells_what_a_plan_does(paths: dict[str, Path]) -> None:
    log = OneArmLog.__new__(OneArmLog)
    vars(log).update(prompt=("x",), request=("r",), model=np.zeros(1, dtype=np.int64))
    with pytest.raises(UserError, match="asks several models for a request"):
        target_of(log, paths["consensus"])
