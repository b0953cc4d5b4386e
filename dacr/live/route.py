"""Route live requests: the stage behind ``scripts/route_live.py``."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.journal import Journal
from dacr.core.money import bill
from dacr.core.values import Above0, AtLeast0, AtLeast1, Checked
from dacr.live import catalogue as catalogues
from dacr.live.answers import Schema
from dacr.live.call import FATAL, fatal
from dacr.live.chain import Chain
from dacr.live.endpoint import is_loopback
from dacr.live.fleet import Fleet, Link, load_chain, rule_links
from dacr.live.gateway import Gateway, RulesSelector, SavedSelector, Selector, describe
from dacr.live.request import ChainError
from dacr.live.schedule import Job, SpendCap, launch, plan, remaining
from dacr.live.telemetry import Cooldown, JsonlSink, RedisSink, Sink
from dacr.routers.plans.base import parse_plan
from dacr.routers.rules.engine import load_rules


@dataclass(frozen=True)
class RouteSettings(Checked):
    """Flags of ``route_live``.

    Parameters
    ----------
    prompt : str | None
        One request.
    stream : Path | None
        A stream file; answers go to --out, at the stream's arrival times.
    serve : bool
        Serve /v1/chat/completions (model "dacr"), /v1/models, /metrics and /health.
    router : str
        chain, rules, a file written by run_experiment --save_router, or a plan such as "gate(cheap, other > dear)".
    out : Path
        Answers of --stream, one JSON line per query; running it again goes on.
    schema : Path | None
        JSON Schema that answers must fit.
    config : Path
        The catalogue: prices and endpoints.
    chain_config : Path
        The fallback chain.
    rules_config : Path
        The rules.
    base_url : str | None
        One OpenAI-compatible server for every model.
    max_output_tokens : int
        Most tokens of an answer (a client of --serve may ask for another number).
    temperature : float | None
        Sampling temperature; the endpoint's own by default.
    max_cost_usd : float | None
        Stop before this is passed, earlier runs into the same --out included. All models need prices.
    timeout_s : float
        Most seconds of one attempt of a saved router's or a plan's models (chain and rules have their own).
    time_warp : float | None
        Stream seconds per wall second; by default the stream's own ts.
    no_pacing : bool
        As fast as --concurrency allows.
    concurrency : int
        Most requests at a time; a plan makes several calls of one.
    host : str
        Address of --serve; another than loopback needs a token.
    port : int
        Port of --serve; 0 takes a free one.
    max_body_bytes : int
        A longer body gets 413.
    token_env : str
        Variable with the bearer token that clients of --serve must send.
    log : Path | None
        Every decision with its attempts, cost and latency as a JSON line.
    redis_url : str | None
        Publish every decision on the channel llm_router_metrics.
    decision_log : Path | None
        The rules' decisions alone, without any time: the same requests give the same bytes.
    sink_texts : bool
        Let --log, --redis_url and --decision_log hold prompts, answers and servers' words too.
    task : str | None
        One name for all requests: the rules' limits then hold over their sum.
    api_key_env : str | None
        Variable with the key of the endpoints.
    allow_insecure : bool
        Allow plain http to another machine.
    """

    prompt: str | None = None
    stream: Path | None = None
    serve: bool = False
    router: str = "chain"
    out: Path = Path("data/routed.jsonl")
    schema: Path | None = None
    config: Path = files.CONFIGS / "models.yaml"
    chain_config: Path = files.CONFIGS / "chain.yaml"
    rules_config: Path = files.CONFIGS / "rules.yaml"
    base_url: str | None = None
    max_output_tokens: AtLeast1 = 512
    temperature: float | None = None
    max_cost_usd: AtLeast0 | None = None
    timeout_s: Above0 = 30.0
    time_warp: Above0 | None = None
    no_pacing: bool = False
    concurrency: AtLeast1 = 64
    host: str = "127.0.0.1"
    port: int = 8080
    max_body_bytes: int = 1_048_576
    token_env: str = "DACR_TOKEN"
    log: Path | None = None
    redis_url: str | None = None
    decision_log: Path | None = None
    sink_texts: bool = False
    task: str | None = None
    api_key_env: str | None = None
    allow_insecure: bool = False


def route_live(settings: RouteSettings) -> int:
    """Send one prompt, a stream, or a server's requests through a router to live endpoints.

    One of --prompt, --stream and --serve. Prints (or writes) JSON: who answered, after which attempts,
    at what cost and latency. Exit code 1 if every model failed.
    """
    s = settings
    if sum((s.prompt is not None, s.stream is not None, s.serve)) != 1:
        raise UserError('give one of --prompt "TEXT", --stream FILE and --serve')
    if not 0 <= s.port <= 65535:
        raise UserError(f"--port should be from 0 to 65535, got {s.port}")
    wanted = _load_schema(s.schema)
    token = os.environ.get(s.token_env, "").strip() or None
    host = f"[{s.host}]" if ":" in s.host and not s.host.startswith("[") else s.host
    if s.serve and token is None and not is_loopback(f"http://{host}"):
        raise UserError(f"--host {host} is not loopback: set a bearer token in the variable {s.token_env}")
    gateway = build(s)
    extra = {"max_tokens": s.max_output_tokens} | ({} if s.temperature is None else {"temperature": s.temperature})
    for name, why in gateway.chain.fleet.left_out.items():
        print(f"model {name} is left out: {why}", file=sys.stderr)
    if s.serve:
        return _serve(gateway, s, host, token, extra)
    ask = partial(_answer, gateway, schema=wanted, extra=extra, task=s.task)
    if s.prompt is not None:
        return asyncio.run(_one(gateway, ask(s.prompt)))
    events = files.read_jsonl(s.stream or "", made_by="python scripts/build_stream.py")
    jobs = plan(events, [gateway.selector.name], time_warp=s.time_warp, source=str(s.stream))
    return asyncio.run(_stream(gateway, jobs, s, ask))


async def _one(gateway: Gateway, answered: Awaitable[dict[str, Any]]) -> int:
    try:
        answer = await answered
    finally:
        await gateway.aclose()
    is_utf8 = "utf" in (sys.stdout.encoding or "").lower()
    print(json.dumps(answer, indent=2, ensure_ascii=not is_utf8))
    if not answer["succeeded"]:
        print(f"error: {answer['error']}", file=sys.stderr)
        return 1
    return 0


async def _answer(
    gateway: Gateway, prompt: str, schema: Schema | None, extra: dict[str, Any], task: str | None
) -> dict[str, Any]:
    try:
        return describe(await gateway.answer([{"role": "user", "content": prompt}], schema, extra, task))
    except ChainError as error:
        return {**describe(error.result), "error": str(error)}


async def _stream(
    gateway: Gateway, jobs: list[Job], settings: RouteSettings, ask: Callable[[str], Awaitable[dict[str, Any]]]
) -> int:
    failed = 0
    with Journal(settings.out) as journal:
        gateway.chain.purse.spent += bill(sum(_at_most_usd(row) for row in journal.rows))
        done = {(str(row.get("qid")), str(row.get("router"))) for row in journal.rows}
        todo = remaining(jobs, done)
        bar = tqdm(total=len(jobs), initial=len(jobs) - len(todo), unit="request", disable=None)

        async def one(job: Job) -> None:
            nonlocal failed
            answer = await ask(job.prompt)
            _refuse_hopeless(answer)
            failed += not answer["succeeded"]
            journal.append({"qid": job.qid, "router": gateway.selector.name, "arrival_s": job.arrival_s, **answer})
            bar.update()

        try:
            await launch(todo, one, asyncio.Semaphore(settings.concurrency), not settings.no_pacing)
        finally:
            bar.close()
            await gateway.aclose()
    print(f"{len(todo)} requests routed by {gateway.selector.name}, {failed} without an answer; wrote {settings.out}")
    return 1 if todo and failed == len(todo) else 0


def _at_most_usd(row: Mapping[str, Any]) -> float:
    """Return what a recorded request cost, its calls of unknown cost at the most they can have cost."""
    return sum(float(one.get("cost_at_most_usd") or 0.0) for one in row.get("attempts", ()))


def _refuse_hopeless(answer: Mapping[str, Any]) -> None:
    """Stop where every model met what every further request would meet: nothing is recorded, so it is asked again."""
    if answer["shipped"] == "spend_cap" and not answer["attempts"]:
        raise UserError("the next request could pass --max_cost_usd; raise it and run the same command to go on")
    met = [one for one in answer["attempts"] if one["reason"] not in ("no_key", "cooldown")]
    if met and all(one["reason"] in FATAL for one in met):
        raise fatal(met[0]["reason"], met[0]["model"], met[0]["detail"])


def build(settings: RouteSettings) -> Gateway:
    """Build the gateway of ``route_live``: its router is chain, rules, a plan, or the file of a saved router."""
    s = settings
    known, rule = catalogues.load(s.config), None
    selector: Selector
    if s.router == "chain":
        links, rule = load_chain(s.chain_config)
        selector = Selector([link.name for link in links])
    elif s.router == "rules":
        engine = load_rules(s.rules_config)
        links, known = rule_links(engine, known)
        selector = RulesSelector(engine, s.decision_log, s.sink_texts)
    elif "(" in s.router and not Path(s.router).exists():
        fixed = parse_plan(s.router)
        links = [Link(name, s.timeout_s) for name in fixed.members]
        selector = Selector([fixed], fixed.spec)
    else:
        from dacr.replay.saved import load_router  # here: chains and rules do without

        saved = load_router(s.router)
        links = [Link(name, s.timeout_s) for name in saved.models]
        selector = SavedSelector(saved)
    fleet = Fleet.of(known, links, s.base_url, s.api_key_env, s.allow_insecure)
    without = next((name for name, (entry, _) in fleet.targets.items() if entry.price is None), None)
    if s.max_cost_usd is not None and without:
        raise UserError(f"--max_cost_usd needs both prices of model {without!r}; add them to {s.config}")
    sinks: list[Sink] = [] if s.log is None else [JsonlSink(s.log)]
    if s.redis_url:
        sinks.append(RedisSink(s.redis_url))
    cooldown, purse = Cooldown(rule) if rule else None, SpendCap(s.max_cost_usd)
    return Gateway(selector, Chain(links, fleet, sinks, cooldown, s.sink_texts, purse))


def _serve(gateway: Gateway, settings: RouteSettings, host: str, token: str | None, defaults: Mapping[str, Any]) -> int:
    try:
        import uvicorn

        from dacr.live.serve import Server
    except ImportError:
        raise UserError("--serve needs an ASGI server: pip install -r requirements-live.txt") from None
    server = Server(
        gateway,
        token=token,
        max_body_bytes=settings.max_body_bytes,
        slots=settings.concurrency,
        only_loopback=is_loopback(f"http://{host}"),
        defaults=defaults,
        task=settings.task,
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host.strip("[]"), settings.port))
        except OSError as error:
            raise UserError(f"can't listen on {host}:{settings.port}: {error.strerror}; give another --port") from None
        listener.listen(2048)  # before the address is printed: it can be used at once
        shown = f"http://{host}:{listener.getsockname()[1]}/v1"
        print(f"serving {shown} (model: dacr, router: {gateway.selector.name})", flush=True)
        how = uvicorn.Config(server.app(), log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        uvicorn.Server(how).run(sockets=[listener])
    return 0


def _load_schema(path: Path | None) -> Schema | None:
    if path is None:
        return None
    try:
        return Schema(json.loads(files.existing_file(path).read_text(encoding="utf-8")))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
