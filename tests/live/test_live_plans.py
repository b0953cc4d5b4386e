"""Plans live, against a real server that misbehaves: calls of a round at once, nothing lost, nothing billed twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fault_server import FAULTS, FaultServer

from dacr.core import cli
from dacr.data.prices import Price
from dacr.estimates.answers.read import UNREAD
from dacr.estimates.features.cues import response_cues
from dacr.live.catalogue import Catalogue, CatalogueEntry
from dacr.live.chain import Chain
from dacr.live.fleet import Fleet, Link
from dacr.live.request import ChainError, ChainResult
from dacr.live.route import RouteSettings, route_live
from dacr.live.schedule import SpendCap
from dacr.routers.plans.base import parse_plan
from dacr.routers.plans.paths import walk

ROOT = Path(__file__).resolve().parents[2]
GATE = "gate(a, b > c)"
PRICED = {n: CatalogueEntry(n, n, price=Price(1e6, 1e6, 1e6)) for n in "abcd"}
"""A token costs a dollar: bills are counts of tokens."""
CATALOGUE = Catalogue(PRICED)
PRICES = "{price_per_million_input: 1000000, price_per_million_output: 1000000}"
MODELS = f"models: {{{', '.join(f'{name}: {PRICES}' for name in 'abcd')}}}"


class Recorder:
    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []

    def publish(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


def run(
    deal: Mapping[str, object] | Callable[[str, str, int], Any],
    order: tuple[str, ...] = (GATE,),
    timeout_s: float = 60.0,
    purse: SpendCap | None = None,
    extra: Mapping[str, Any] | None = None,
    left_out: tuple[str, ...] = (),
    prompts: tuple[str, ...] = ("how many?",),
) -> tuple[list[ChainResult], Chain, FaultServer, Recorder]:
    """Send prompts at once along an order of arms to a server where ``deal`` says what each model does."""
    sink = Recorder()
    arms = [parse_plan(one) if "(" in one else one for one in order]

    async def one(chain: Chain, prompt: str) -> ChainResult:
        try:
            return await chain.route([{"role": "user", "content": prompt}], order=arms, extra=extra or {})
        except ChainError as error:
            return error.result

    async def go(url: str) -> tuple[list[ChainResult], Chain]:
        links = [Link(name, timeout_s) for name in "abcd"]
        fleet = Fleet.of(CATALOGUE, links, base_url=url)
        fleet.left_out |= dict.fromkeys(left_out, "no API key")
        for name in left_out:
            del fleet.targets[name]
        chain = Chain(links, fleet, [sink], purse=purse)
        results = await asyncio.gather(*(one(chain, prompt) for prompt in prompts))
        await chain.close()
        return list(results), chain

    plan = deal if callable(deal) else lambda model, prompt, nth: deal.get(model, "ok")
    with FaultServer(plan).running() as server:
        results, chain = asyncio.run(go(server.url))
    return results, chain, server, sink


def turns(result: ChainResult) -> list[tuple[str, str, int]]:
    return sorted(((one.model, one.outcome, one.round) for one in result.attempts), key=lambda one: (one[2], one[0]))


def number(value: int) -> dict[str, str]:
    return {"text": f"It is {value}."}


def test_probes_are_asked_at_once_and_what_they_share_is_shipped() -> None:
    server_at = []

    def deal(model: str, prompt: str, nth: int) -> dict[str, Any]:
        server_at.append(model)
        return {**number(7), "hold": lambda: len(server_at) == 2}  # neither ends before both have begun

    (result,), chain, server, sink = run(deal)
    assert turns(result) == [("a", "success", 1), ("b", "success", 1)] and len(server.requests) == 2
    assert (result.content, result.model_used, result.arm, result.shipped) == ("It is 7.", "b", GATE, "settled")
    assert result.cost_usd == 2 * (2 + 3)
    assert chain.metrics.snapshot()["a"]["success"] == chain.metrics.snapshot()["b"]["success"] == 1
    (event,) = sink.events
    assert (event["arm"], event["shipped"], len(event["attempts"])) == (GATE, "settled", 2)


def test_where_they_differ_the_fallback_answers() -> None:
    (result,), _, server, _ = run({"a": number(7), "b": number(8), "c": number(8)})
    assert turns(result) == [("a", "success", 1), ("b", "success", 1), ("c", "success", 2)]
    assert (result.model_used, result.shipped, result.cost_usd) == ("c", "went_on", 15)
    assert Counter(one["model"] for one in server.requests) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("fault", [*FAULTS, "auth", "context", "refusal", "empty", "prose"])
def test_a_probe_that_fails_agrees_with_nothing(fault: str) -> None:
    own = {"refusal": {"text": "I can't help with that."}, "empty": {"text": ""}, "prose": {"text": "a b " * 40}}
    timeout_s = 0.5 if fault in ("hang", "drip") else 60.0
    (result,), _, server, _ = run({"a": own.get(fault, fault), "b": number(8), "c": number(9)}, timeout_s=timeout_s)
    assert (result.content, result.model_used, result.shipped) == ("It is 9.", "c", "went_on")
    assert [one[0] for one in turns(result)] == ["a", "b", "c"] and len(server.requests) == 3


def test_two_probes_that_fail_alike_do_not_agree() -> None:
    (result,), *_ = run({"a": "server_error", "b": "server_error", "c": number(9)})
    assert (result.model_used, result.shipped) == ("c", "went_on")


def test_a_probe_without_a_key_agrees_with_nothing() -> None:
    (result,), _, server, _ = run({"b": number(8), "c": number(9)}, left_out=("a",))
    assert turns(result) == [("a", "skipped", 1), ("b", "success", 1), ("c", "success", 2)]
    assert result.model_used == "c" and len(server.requests) == len(result.called) == 2


def test_where_the_fallback_fails_the_best_answer_that_is_there_is_shipped() -> None:
    (result,), _, server, _ = run({"a": number(7), "b": number(8), "c": "server_error"}, order=(GATE, "d"))
    assert (result.model_used, result.shipped, result.succeeded) == ("b", "left_over", True)
    assert len(server.requests) == 3, "an answer was paid for: no further model is asked"
    (result,), *_ = run({"a": number(7), "b": "server_error", "c": "reset"})
    assert (result.model_used, result.shipped) == ("a", "left_over")


def test_where_all_of_a_plan_fail_the_next_arm_is_tried() -> None:
    fails = dict.fromkeys("abc", "server_error")
    (result,), *_ = run({**fails, "d": number(1)}, order=(GATE, "d"))
    assert (result.model_used, result.arm, result.shipped) == ("d", "d", "alone")
    assert [one[2] for one in turns(result)] == [1, 1, 2, 3]
    (result,), *_ = run(fails, order=(GATE,))
    assert not result.succeeded and result.arm == result.shipped == "" and len(result.called) == 3


@pytest.mark.parametrize("spec", [GATE, "majority(a, b, c > d)", "cue(a > b)", "cue_gate(a, b > c)"])
def test_a_request_follows_its_plan_live_as_in_replay(spec: str) -> None:
    """Random answers: the same models are asked in the same rounds, and the same answer is shipped."""
    plan = parse_plan(spec)
    answer = np.random.default_rng(5).integers(-1, 2, (24, len(plan.members)))
    prompts = tuple(f"question {i}" for i in range(len(answer)))

    def deal(model: str, prompt: str, nth: int) -> dict[str, str]:
        code = answer[int(prompt.split()[1]), plan.members.index(model)]
        return {"text": "words " * 30} if code == UNREAD else number(int(code))

    results, *_ = run(deal, order=(spec,), prompts=prompts)
    told = pa.array([deal(name, prompt, 1)["text"] for prompt in prompts for name in plan.members])
    when, ship = walk(plan, answer, response_cues(told, len(plan.members)))
    for i, result in enumerate(results):
        asked = {one.model: one.round for one in result.attempts}
        assert [asked.get(name, 0) for name in plan.members] == when[i].tolist()
        assert result.model_used == plan.members[ship[i]]
        assert result.cost_usd == sum(one.cost_usd for one in result.attempts)


# Money. A prompt of 9 bytes is at most 73 tokens; with answers of at most 7 tokens a call costs 80 USD at most.
LIMIT = {"max_tokens": 7}


def test_the_longest_path_is_reserved_and_released_where_the_probes_agree() -> None:
    purse, seen = SpendCap(240.0), []

    def deal(model: str, prompt: str, nth: int) -> dict[str, Any]:
        seen.append(purse.reserved)
        return {**number(7), "hold": lambda: len(seen) == 2}

    run(deal, purse=purse, extra=LIMIT)
    assert seen == [240_000_000_000] * 2 and purse.reserved == 0 and purse.spent_usd == 10
    (result,), _, server, _ = run({}, purse=SpendCap(239.99), extra=LIMIT)
    assert not result.succeeded and result.shipped == "spend_cap" and not server.requests
    (result,), *_ = run({"d": number(1)}, order=(GATE, "d"), purse=SpendCap(239.99), extra=LIMIT)
    assert (result.arm, result.cost_usd) == ("d", 5), "an arm that fits is tried instead"


def test_money_that_ends_in_the_middle_ships_the_best_answer_there_is() -> None:
    """A server that bills more than it was allowed to: what was reserved for the fallback is not there any more."""
    purse = SpendCap(240.0)
    (result,), _, server, sink = run({"a": number(7), "b": {"text": "word " * 200 + "\n8"}}, purse=purse, extra=LIMIT)
    assert (result.model_used, result.shipped, result.succeeded) == ("b", "spend_cap", True)
    assert len(server.requests) == 2 and purse.reserved == 0
    assert purse.spent_usd == result.cost_usd == sum(one["cost_usd"] for one in sink.events[0]["attempts"])


def test_a_cap_holds_over_requests_at_once() -> None:
    purse = SpendCap(600.0)
    results, _, server, _ = run(
        lambda model, *_: number("abc".index(model)), purse=purse, extra=LIMIT, prompts=("how many?",) * 60
    )
    served = [one for one in results if one.succeeded]
    assert 24 <= len(served) < 60 and all(one.shipped in ("went_on", "spend_cap") for one in results)
    assert purse.spent_usd == sum(one.cost_usd for one in results) == 5 * len(server.requests) <= 600
    assert purse.reserved == 0


def test_a_request_that_is_given_up_mid_round_is_booked_and_told() -> None:
    purse, sink = SpendCap(1000.0), Recorder()

    async def go(server: FaultServer) -> None:
        links = [Link(name, 60.0) for name in "abc"]
        chain = Chain(links, Fleet.of(CATALOGUE, links, base_url=server.url), [sink], purse=purse)
        message = [{"role": "user", "content": "how many?"}]
        task = asyncio.create_task(chain.route(message, order=[parse_plan(GATE)], extra=LIMIT))
        while len(server.requests) < 2 or purse.spent == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await chain.close()

    with FaultServer(lambda model, *_: "hang" if model == "a" else number(7)).running() as server:
        asyncio.run(go(server))
    (event,) = sink.events
    told = {one["model"]: (one["reason"], one["cost_usd"], one["cost_at_most_usd"]) for one in event["attempts"]}
    assert told == {"a": ("cancelled", None, 80.0), "b": ("", 5.0, 5.0)} and not event["succeeded"]
    assert purse.reserved == 0 and purse.spent_usd == 85.0, "the fallback that was not asked costs nothing"


# The command.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models.yaml").write_text(MODELS)
    rows = [{"qid": f"q{i}", "prompt": f"question {i}", "domain": "d", "arrival_s": 0.0} for i in range(120)]
    (tmp_path / "stream.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def words(folder: Path, url: str, *more: str) -> list[str]:
    flags = ["--config", str(folder / "models.yaml"), "--base_url", url, "--router", GATE, "--no_pacing"]
    flags += ["--stream", str(folder / "stream.jsonl"), "--out", str(folder / "out.jsonl")]
    return [*flags, "--max_output_tokens", "7", *more]


def command(flags: list[str]) -> int:
    return cli.run(route_live, flags, config_flag=None, settings_class=RouteSettings)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def half_fail(model: str, prompt: str, nth: int) -> object:
    """Half of the calls meet a fault, by a draw that belongs to the call."""
    rng = np.random.default_rng([int(prompt.split()[1]), ord(model), nth])
    return str(rng.choice(["rate_limit", "server_error", "reset", "truncated", "hang"])) if rng.random() < 0.5 else (
        number(int(rng.integers(3)))
    )  # fmt: skip


def test_half_of_the_calls_fail_and_nothing_is_lost_or_doubled(folder: Path) -> None:
    with FaultServer(half_fail).running() as server:
        assert command(words(folder, server.url, "--timeout_s", "1", "--log", str(folder / "log.jsonl"))) == 0
    rows = rows_of(folder)
    assert Counter(row["qid"] for row in rows) == {f"q{i}": 1 for i in range(120)}
    told = Counter((one["model"], f"question {row['qid'][1:]}") for row in rows for one in row["attempts"])
    assert set(told.values()) == {1} and not server.seen - told, "every call is told, once"
    # On a machine with much else to do a call may pass its second before the server hears of it.
    unheard = told - server.seen
    ends = {(one["model"], f"question {row['qid'][1:]}"): one["reason"] for row in rows for one in row["attempts"]}
    assert {ends[call] for call in unheard} <= {"timeout"}
    for row in rows:
        passed = [one for one in row["attempts"] if one["outcome"] == "success"]
        assert row["succeeded"] == bool(passed) and (
            not passed or row["model_used"] in {one["model"] for one in passed}
        )
        assert all(one["cost_usd"] == 5.0 for one in passed)
    assert len({row["shipped"] for row in rows}) >= 4, "settled, went_on, left_over, and none"
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert sum(len(event["attempts"]) for event in events) == len(server.requests) + unheard.total()


def test_a_kill_mid_round_and_the_same_command_again(folder: Path) -> None:
    killed: list[bool] = []

    def deal(model: str, prompt: str, nth: int) -> object:
        late = not killed and int(prompt.split()[1]) >= 40
        return "hang" if late else number("abc".index(model) // 2)

    with FaultServer(deal).running() as server:
        line = [sys.executable, str(ROOT / "scripts/route_live.py"), *words(folder, server.url), "--concurrency", "50"]
        process = subprocess.Popen(line, env={**os.environ, "OPENAI_API_KEY": "x"}, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while not (server.in_flight >= 100 and len(rows_of(folder)) == 40):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        killed.append(True)
        assert command(words(folder, server.url)) == 0
    rows = rows_of(folder)
    assert Counter(row["qid"] for row in rows) == {f"q{i}": 1 for i in range(120)}
    assert {(row["shipped"], row["cost_usd"]) for row in rows} == {("settled", 10.0)}
    again = {key for key, count in server.seen.items() if count > 1}
    assert len(again) == 100 and max(server.seen.values()) == 2, "only what was under way is asked again"


def test_a_cap_counts_what_an_earlier_run_spent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten dollars a request: 73 USD are reserved for each of three calls of 7 tokens and a prompt of 11 bytes or so."""
    with FaultServer(lambda *_: number(7)).running() as server:
        assert command(words(folder, server.url, "--max_cost_usd", "500", "--concurrency", "1")) == 2
        assert "raise it and run the same command to go on" in capsys.readouterr().err
        first = len(rows_of(folder))
        assert 20 <= first < 50 and sum(row["cost_usd"] for row in rows_of(folder)) <= 500
        assert command(words(folder, server.url, "--max_cost_usd", "500", "--concurrency", "1")) == 2
        assert len(rows_of(folder)) == first, "an earlier run's money is spent"
        assert command(words(folder, server.url, "--max_cost_usd", "1500")) == 0
    assert len(rows_of(folder)) == 120 and len(server.requests) == 240


def test_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "unpriced.yaml").write_text("models: {a: {}, b: {}, c: {}}")
    for router, more, expected in [
        ("gate(a, b)", [], "it needs an end"),
        ("gate(a > c)", [], "takes 2 probes and a fallback"),
        ("gatte(a, b > c)", [], "did you mean 'gate'"),
        ("gate(a, a > c)", [], "all of them different"),
        (GATE, ["--config", str(folder / "unpriced.yaml"), "--max_cost_usd", "1"], "needs both prices of model 'a'"),
        (GATE, ["--max_cost_usd=-1"], "max_cost_usd"),
    ]:
        flags = ["--config", str(folder / "models.yaml"), "--base_url", "http://127.0.0.1:9/v1", "--prompt", "x", *more]
        assert command([*flags, "--router", router]) == 2, router
        err = capsys.readouterr().err
        assert expected in err and len(err.strip().splitlines()) == 1
    flags = ["--config", str(folder / "models.yaml"), "--prompt", "x", "--router", "gate(a, b > gpt-9)"]
    assert command(flags) == 2 and "model 'gpt-9' is not in" in capsys.readouterr().err
