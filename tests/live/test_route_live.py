from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pandas as pd
import pytest
from fault_server import FaultServer, reply

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.data.table import load
from dacr.estimates.estimator import Estimator
from dacr.live.gateway import RulesSelector, SavedSelector, Selector
from dacr.live.request import ChainAttempt, ChainResult
from dacr.live.route import RouteSettings, route_live
from dacr.replay.saved import load_router, router_to_save, save_router
from dacr.routers.base import Sweep
from dacr.routers.rules.engine import load_rules
from dacr.types import Training

ROOT = Path(__file__).resolve().parents[2]
MODELS = "models: {cheap: {price_per_million_input: 1, price_per_million_output: 1}, mid: {}, strong: {}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "chain.yaml").write_text("chain: [{name: cheap, timeout_s: 60}, {name: strong}]")
    (tmp_path / "rules.yaml").write_text(
        "models:\n- {spec: 'ollama:tiny', is_local: true}\n"
        "- {spec: 'openrouter:big', cost_per_1k_tokens: 0.01, capabilities: [code]}\n"
    )
    return tmp_path


def route(folder: Path, url: str, *more: str) -> int:
    words = ["--config", str(folder / "models.yaml"), "--chain_config", str(folder / "chain.yaml")]
    words += ["--rules_config", str(folder / "rules.yaml"), "--base_url", url, *more]
    return cli.run(route_live, words, config_flag=None, settings_class=RouteSettings)


def test_one_prompt_prints_who_answered_after_which_attempts(folder: Path, capsys) -> None:
    plan = {"cheap": "server_error", "strong": {"text": "42"}}
    with FaultServer(lambda model, *_: plan[model]).running() as server:
        assert route(folder, server.url, "--prompt", "what?") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["content"], answer["model_used"], answer["router"]) == ("42", "strong", "chain")
    assert [one["outcome"] for one in answer["attempts"]] == ["rejected", "success"]
    assert answer["cost_usd"] is None, "the price of strong is not known, so the sum is not either"
    assert answer["latency_ms"] > 0 and answer["decision_ms"] >= 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_an_answer_is_printed_whatever_the_terminal_can_show(folder: Path, encoding: str) -> None:
    text = "Zürich → 東京 \U0001f600"
    words = [sys.executable, str(ROOT / "scripts/route_live.py"), "--config", str(folder / "models.yaml")]
    words += ["--chain_config", str(folder / "chain.yaml"), "--prompt", "where?", "--base_url"]
    with FaultServer(lambda *_: {"text": text}).running() as server:
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([*words, server.url], env=environment, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode(encoding))["content"] == text


def test_every_model_failed_is_exit_code_1_with_the_log(folder: Path, capsys) -> None:
    with FaultServer(lambda *_: {"text": "I won't."}).running() as server:
        assert route(folder, server.url, "--prompt", "what?", "--log", str(folder / "log.jsonl")) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["succeeded"] is False and "cheap: rejected (refusal" in err
    (event,) = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert event["model_used"] == "none" and event["metrics_snapshot"]["cheap"]["error"] == 1


def test_rules_live_and_a_refusal_by_the_limits(folder: Path, capsys) -> None:
    with FaultServer(lambda model, *_: {"text": model}).running() as server:
        assert route(folder, server.url, "--router", "rules", "--prompt", "Audit the production server") == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["content"] == "big" and answer["decision"]["task_class"] == "critical"
        assert route(folder, server.url, "--router", "rules", "--prompt", "hello") == 0
        assert json.loads(capsys.readouterr().out)["content"] == "tiny"
        assert route(folder, server.url, "--router", "rules", "--prompt", "hello " * 9000) == 1
        assert "tokens_exceeded" in capsys.readouterr().err
        assert len(server.requests) == 2, "what breaks a limit is never called"


@pytest.mark.parametrize("router", ["chain", "rules"])
def test_local_first_needs_no_key_of_a_cloud(router: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configurations as they are, with no key at all."""
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "OLLAMA_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    words = ["--router", router, "--prompt"]
    with FaultServer(lambda model, prompt, nth: "ok" if "hello" in prompt else "server_error").running() as server:
        monkeypatch.setenv("OLLAMA_API_BASE", server.url)
        assert cli.run(route_live, [*words, "hello"], config_flag=None, settings_class=RouteSettings) == 0
        out, err = capsys.readouterr()
        assert len(json.loads(out)["attempts"]) == 1 and json.loads(out)["cost_usd"] == 0
        assert err.count("is left out: no API key") == (2 if router == "chain" else 1)
        assert cli.run(route_live, [*words, "good bye"], config_flag=None, settings_class=RouteSettings) == 1
    attempts = json.loads(capsys.readouterr().out)["attempts"]
    assert [one["outcome"] for one in attempts][:2] == ["rejected", "skipped"] and "is empty" in attempts[1]["detail"]


def test_the_rules_decision_log_is_the_same_bytes_twice(folder: Path) -> None:
    rows = [{"qid": f"q{i}", "prompt": f"Deploy {i}" * (i + 1), "domain": "d", "arrival_s": 0.0} for i in range(30)]
    (folder / "stream.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with FaultServer(lambda *_: {"text": "ok"}).running() as server:
        for name in ("one", "two"):
            flags = ["--router", "rules", "--decision_log", str(folder / name), "--out", str(folder / f"{name}.out")]
            assert route(folder, server.url, *flags, "--stream", str(folder / "stream.jsonl"), "--no_pacing") == 0
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    assert len((folder / "one").read_text().splitlines()) == 30


def test_a_schema_a_stream_and_resuming(folder: Path, capsys) -> None:
    (folder / "schema.json").write_text('{"type": "array"}')
    rows = [{"qid": f"q{i}", "prompt": f"p{i}", "domain": "d", "arrival_s": i * 0.01} for i in range(20)]
    (folder / "stream.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--stream", str(folder / "stream.jsonl"), "--out", str(folder / "out.jsonl")]
    flags += ["--schema", str(folder / "schema.json")]
    with FaultServer(lambda *_: {"text": "[1]"}).running() as server:
        assert route(folder, server.url, *flags) == 0
        assert route(folder, server.url, *flags) == 0
        assert len(server.requests) == 20
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert {row["qid"] for row in rows} == {f"q{i}" for i in range(20)} and rows[0]["content"] == [1]


def test_the_cap_of_a_task_holds_over_its_requests(folder: Path) -> None:
    """.01 USD per 1,000 tokens: a call of .0052 fits once under a cap of .01."""
    (folder / "rules.yaml").write_text(
        "policy: {max_cost_per_task_usd: 0.01, expected_output_tokens: 512, max_tokens_per_task: 100000}\n"
        "models:\n- {spec: 'ollama:tiny'}\n- {spec: 'openrouter:big', cost_per_1k_tokens: 0.01, capabilities: [code]}\n"
    )
    rows = [{"qid": f"q{i}", "prompt": f"Audit {i}", "domain": "d", "arrival_s": 0.0} for i in range(10)]
    (folder / "stream.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--router", "rules", "--stream", str(folder / "stream.jsonl"), "--no_pacing", "--concurrency", "3"]
    long = "word " * 400

    def called(name: str, *more: str) -> list[dict]:
        assert route(folder, server.url, *flags, "--out", str(folder / name), *more) == 0
        return [json.loads(line) for line in (folder / name).read_text().splitlines()]

    with FaultServer(lambda *_: {"text": long}).running() as server:
        own, one = called("own"), called("one", "--task", "t")
    assert all(row["model_used"] == "openrouter:big" for row in own), "each request is a task of its own"
    dear = [row for row in one if row["model_used"] == "openrouter:big"]
    assert 2 <= len(dear) < 4 and sum(row["cost_usd"] for row in one) <= 0.01 + 1e-9
    cheap = [row for row in one if row not in dear]
    assert {row["decision"]["reason"] for row in cheap} == {"budget_exceeded: forced local"}


def test_what_every_request_would_meet_stops_a_stream_and_is_asked_again(folder: Path, capsys) -> None:
    rows = [{"qid": f"q{i}", "prompt": f"p{i}", "domain": "d", "arrival_s": 0.0} for i in range(30)]
    (folder / "stream.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--stream", str(folder / "stream.jsonl"), "--out", str(folder / "out.jsonl"), "--no_pacing"]
    empty = reply({"error": {"message": "Insufficient credits"}}, "402 Pay")
    filled: list[bool] = []
    with FaultServer(lambda *_: "ok" if filled else empty).running() as server:
        assert route(folder, server.url, *flags, "--concurrency", "2") == 2
        assert "the account at the server is empty" in capsys.readouterr().err
        assert len(server.requests) < 30 and not (folder / "out.jsonl").read_text()
        filled.append(True)
        assert route(folder, server.url, *flags) == 0
    assert len((folder / "out.jsonl").read_text().splitlines()) == 30


@pytest.fixture
def saved_path(tmp_path: Path, tiny_long: pd.DataFrame) -> Path:
    frame = pd.concat([tiny_long.assign(qid=tiny_long["qid"] + f"-{k}") for k in range(8)])
    frame["prompt"] = frame["prompt"] + " " + frame["domain"] + " " + frame["qid"]
    frame.to_parquet(tmp_path / "long.parquet")
    table = load(tmp_path / "long.parquet")
    table = table.with_latency(np.tile([1.0, 2.0, 5.0], (table.n_query, 1)))
    rows = np.arange(table.n_query)
    estimator = Estimator(table, rows[:36], rows[36:], np.arange(12.0), tau_s=3.0, n_jobs=1)
    cls = routers.get("dacr")
    calibrator = cls.calibrator or "platt"
    training = Training(estimator.training("logistic", calibrator), estimator.outcomes(estimator.train), 3.0)
    router = cls(lambda_cost=5.0).fit(training)
    save_router(tmp_path / "dacr.router", router, estimator, "logistic", calibrator)
    saved = load_router(tmp_path / "dacr.router")
    expected = estimator.testing("logistic", calibrator)
    test = list(table.prompt[estimator.test])
    got = saved.estimates(test, list(table.domain[estimator.test]))
    for name in ("p_raw", "p", "cost_hat", "p_late", "features"):
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=1e-5, atol=1e-6, err_msg=name)
    return tmp_path / "dacr.router"


def test_a_saved_router_estimates_as_in_replay_and_routes_live(folder: Path, saved_path: Path, capsys) -> None:
    with FaultServer(lambda model, *_: {"text": model}).running() as server:
        assert route(folder, server.url, "--router", str(saved_path), "--prompt", "Question number 3? mbpp") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["router"] == "dacr" and answer["content"] == answer["model_used"] in ("cheap", "mid", "strong")


@pytest.mark.parametrize("router", ["chain", "rules", "saved"])
def test_neither_prompt_nor_answer_leaves_by_a_sink(
    router: str, folder: Path, saved_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every sink is read for a canary: the answer's text, the prompt's, and a server's that quotes both."""
    redis = pytest.importorskip("redis")
    published: list[str] = []
    monkeypatch.setattr(redis.Redis, "publish", lambda self, channel, line: published.append(line))
    monkeypatch.setattr(redis.Redis, "close", lambda self: None)

    def plan(model: str, prompt: str, nth: int) -> object:
        if nth == 1:
            return reply({"error": {"message": f"what is {prompt}? canary-server"}}, "400 No")
        return {"text": "canary-answer"}

    def told(name: str, *more: str) -> str:
        published.clear()
        words = ["--router", str(saved_path) if router == "saved" else router, "--prompt", "canary-prompt"]
        logs = ["--log", str(folder / f"{name}.log"), "--decision_log", str(folder / f"{name}.decisions")]
        with FaultServer(plan).running() as server:
            route(folder, server.url, *words, *logs, "--redis_url", "redis://127.0.0.1:1", *more)
        files = "".join(path.read_text() for path in folder.glob(f"{name}.*"))
        assert published and len(files.splitlines()) >= 1
        return files + "".join(published)

    assert "canary" not in told("quiet")
    assert "canary-server" in told("loud", "--sink_texts", "true")


def test_a_saved_learner_is_told_cost_and_lateness(saved_path: Path) -> None:
    selector = SavedSelector(load_router(saved_path))
    request = selector._saved.estimates(["p"])

    def believed() -> tuple[float, float]:
        beliefs = selector._saved.router.beliefs(request)
        return float(beliefs.cost_hat[0, 0]), float(beliefs.p_late[0, 0])

    selector.order("p")
    before = believed()
    for _ in range(20):
        order = selector.order("p")
        attempt = ChainAttempt(order.names[0], "success", "", 9000.0, 1.0)
        order.done(ChainResult("x", "x", order.names[0], (attempt,), 9000.0, True))
    assert before != believed()


def test_the_decision_costs_less_than_making_the_call(folder: Path, saved_path: Path) -> None:
    """Beside what the client alone computes for a call that is answered at once: a ratio, no clock."""
    prompt = "Write a function that sorts a list. " * 30
    selectors = [
        Selector(["cheap", "strong"]),
        RulesSelector(load_rules(folder / "rules.yaml")),
        SavedSelector(load_router(saved_path)),
    ]
    for selector in selectors:
        selector.prepare(prompt)
    took: dict[str, list[float]] = {}

    def timed(name: str, what: Callable[[], object]) -> None:
        # This thread's processor time: of wall time the server and other work have their share.
        started = time.thread_time()
        what()
        took.setdefault(name, []).append(time.thread_time() - started)

    with (
        FaultServer(lambda *_: {"text": "42"}).running() as server,
        openai.OpenAI(base_url=server.url, api_key="any", max_retries=0, timeout=60) as client,
    ):
        message: list[Any] = [{"role": "user", "content": prompt}]
        for _ in range(100):
            timed("call", lambda: client.chat.completions.create(model="cheap", messages=message))
            for selector in selectors:
                timed(selector.name, lambda selector=selector: selector.order(prompt))
    middle = {name: float(np.median(values)) for name, values in took.items()}
    assert all(middle[selector.name] < middle["call"] for selector in selectors), middle


def test_bad_input(folder: Path, capsys) -> None:
    (folder / "rubbish").write_bytes(b"not a router")
    (folder / "old").write_bytes(b"DACR router 1\nnot a pickle")
    for words, expected in [
        ([], "give one of --prompt"),
        (["--prompt", "x", "--serve"], "give one of --prompt"),
        (["--prompt", "x", "--router", "nothing"], "no such file"),
        (["--prompt", "x", "--router", str(folder / "rubbish")], "is no saved router"),
        (["--prompt", "x", "--router", str(folder / "old")], "is no saved router"),
        (["--serve", "--host", "0.0.0.0"], "is not loopback: set a bearer token"),
        (["--prompt", "x", "--redis_url", "http://x"], "should look like redis://"),
        (["--serve", "--port", "99999"], "from 0 to 65535"),
        (["--serve", "--port=-1"], "from 0 to 65535"),
    ]:
        assert route(folder, "http://127.0.0.1:9/v1", *words) == 2, words
        assert expected in capsys.readouterr().err


def test_features_of_ones_own_cannot_be_saved(folder: Path) -> None:
    class Own:
        features = np.zeros((1, 1))

    with pytest.raises(UserError, match="leave out --features"):
        save_router(folder / "x", None, Own(), "logistic", "platt")


def test_what_is_saved_must_be_meant() -> None:
    def chosen(names: list[str], *lambdas: float) -> str:
        return router_to_save(names, Sweep(lambdas=lambdas))

    assert chosen(["linucb"], 50.0) == "linucb" and chosen(["static", "dacr"], 50.0) == "dacr"
    assert chosen(["cheapest"], 0.0, 50.0) == "cheapest", "it has one point whatever money costs"
    with pytest.raises(UserError, match=r"--lambdas has 2: 0,50; name one, such as --lambdas 50"):
        chosen(["dacr"], 0.0, 50.0)
    with pytest.raises(UserError, match="name it alone, such as --routers static"):
        chosen(["static", "linucb"], 50.0)
