"""Simulated latencies of every model on every query of a stream, and of training queries by the same code."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dacr.core import files, manifest
from dacr.core.errors import UserError
from dacr.core.rng import keyed_uniform, keys_of, seed_for
from dacr.core.values import Above0, AtLeast0
from dacr.data.table import RoutingTable, load
from dacr.data.tokens import DEFAULT_TOKENS, TokenMethod, tokens_of
from dacr.types import Bools, Floats, Ints
from dacr.workload.latency import DEFAULT_CONFIG, LatencyModel
from dacr.workload.stream import check_writable, manifest_path, read_stream


def simulate_latency(
    *,
    data: Path = Path("data/routerbench_raw_long.parquet"),
    stream: Path = Path("data/stream.jsonl"),
    out: Path = Path("data/latency_eff.jsonl"),
    out_base: Path = Path("data/latency_base.jsonl"),
    token_method: TokenMethod = "max",
    chars_per_token: Above0 = 4.0,
    default_tokens: Above0 = DEFAULT_TOKENS,
    noise_cv: AtLeast0 = 0.10,
    config_latency: Path = DEFAULT_CONFIG,
    seed: int = 1,
) -> None:
    """Simulate the latency of every model on every query of the stream.

    Parameters
    ----------
    data
        Long table; its responses give the number of output tokens.
    stream
        From scripts/build_stream.py; its lat_mult is the load.
    out
        Effective latencies: base latency times load.
    out_base
        Base latencies: time to first token + output tokens / speed, with noise, without load.
    token_method
        How tokens are counted: chars (characters / chars_per_token), words, or max (the larger of both).
    chars_per_token
        Characters in a token.
    default_tokens
        Tokens of every answer where the table has neither responses nor a column output_tokens.
    noise_cv
        Coefficient of variation of the lognormal noise; 0 switches it off.
    config_latency
        The latency profiles.
    seed
        Names the noise.
    """
    settings: dict[str, Any] = dict(locals())
    for target in (out, out_base):
        check_writable(target, [data, stream, config_latency])
    if out.resolve() == out_base.resolve():
        raise UserError(f"--out and --out_base are both {str(out)!r}; give each a file of its own")
    model = LatencyModel.from_yaml(config_latency)
    arrivals = read_stream(stream)
    table = load(data, incomplete=True)
    chosen = table.take(rows_of(table, arrivals.qid, str(stream), str(data)))
    del table  # its responses are most of the memory
    tokens, counted = tokens_of(chosen, token_method, chars_per_token, default_tokens)
    base = model.latencies(chosen.qid.tolist(), chosen.model, tokens, np.ones(chosen.n_query), noise_cv, seed).round(6)
    effective = (base * arrivals.lat_mult[:, None]).round(6)
    about = manifest.build(
        "simulate_latency",
        settings,
        {"data": data, "stream": stream, "config_latency": config_latency},
        n_query=chosen.n_query,
        profiles={name: model.profile_of(name).name for name in chosen.model},
    )
    ok = np.ones(base.shape, dtype=bool)
    # both temporary files are complete before either is renamed
    with contextlib.ExitStack() as stack:
        targets = [
            (stack.enter_context(files.atomic_path(path)), kind) for path, kind in ((out, effective), (out_base, base))
        ]
        for temporary, latency_s in targets:
            temporary.write_bytes(latency_lines(chosen.qid, chosen.model, latency_s, ok, arrivals.arrival_s))
    for path in (out, out_base):
        files.write_json(manifest_path(path), about)
    if counted == "default":
        print(f"note: {data} has neither responses nor token counts; every answer has {default_tokens:g} tokens")
    for name in model.unknown(chosen.model):
        print(f"note: {name} is not in {config_latency}; the profile {model.default!r} serves it")
    print(
        f"wrote {out} and {out_base}: {chosen.n_query} queries x {chosen.n_model} models; effective latency "
        f"median {np.median(effective):.2f} s, p95 {np.quantile(effective, 0.95):.2f} s, "
        f"p99 {np.quantile(effective, 0.99):.2f} s (base median {np.median(base):.2f} s)"
    )


def rows_of(table: RoutingTable, qid: Sequence[str] | NDArray[np.object_], source: str, data: str) -> Ints:
    """Return the table's row of each query id; an id that it lacks is a :class:`UserError`."""
    at = {name: row for row, name in enumerate(table.qid)}
    rows = np.array([at.get(name, -1) for name in qid], dtype=np.int64)
    lost = np.flatnonzero(rows < 0)
    if len(lost):
        raise UserError(
            f"{source}: {len(lost)} of {len(rows)} queries are not in {data}, first qid {qid[lost[0]]!r}; "
            "build both from the same table"
        )
    return rows


def latency_lines(
    qid: NDArray[np.object_], models: Sequence[str], latency_s: Floats, ok: Bools, arrival_s: Floats
) -> bytes:
    """Return JSON lines ``qid, model, latency_s, ok, arrival_s``, query by query, as UTF-8.

    Parameters
    ----------
    latency_s, ok : (n, n_model)
    arrival_s : (n,)
    """
    n_model = len(models)

    def words(text: Any) -> Any:
        return (
            pa.scalar(text, pa.large_string()) if isinstance(text, str) else pc.cast(pa.array(text), pa.large_string())
        )

    head = words(['{"qid": ' + json.dumps(name, ensure_ascii=False) for name in qid])
    kind = words([', "model": ' + json.dumps(name, ensure_ascii=False) for name in models])
    tail = pc.binary_join_element_wise(words(', "arrival_s": '), words(arrival_s), words("}\n"), words(""))
    row = np.arange(len(qid) * n_model)
    lines = pc.binary_join_element_wise(
        head.take(pa.array(row // n_model)),
        kind.take(pa.array(row % n_model)),
        words(', "latency_s": '),
        words(latency_s.ravel()),
        pc.if_else(pa.array(ok.ravel()), words(', "ok": true'), words(', "ok": false')),
        tail.take(pa.array(row // n_model)),
        words(""),
    )
    return "".join(lines.to_pylist()).encode()


def training_latency(
    table: RoutingTable, model: LatencyModel, tokens: Floats, lat_mult_pool: Floats, noise_cv: float = 0.10
) -> Floats:
    """Simulate effective latencies for queries that no log covers, by the code that writes the log.

    Their load is drawn, by query id, from the multipliers of a stream, so that training sees the load that
    the test part meets.

    Parameters
    ----------
    tokens : (n_query, n_model) float
        Output tokens.
    lat_mult_pool : (k,) float
        ``Stream.lat_mult``.

    Returns
    -------
    (n_query, n_model) float, seconds; NaN nowhere.
    """
    draw = keyed_uniform(keys_of(table.qid), 1, seed_for("training load", 1))[:, 0]
    lat_mult = lat_mult_pool[(draw * len(lat_mult_pool)).astype(np.int64)]
    return model.latencies(table.qid.tolist(), table.model, tokens, lat_mult, noise_cv, 1).round(6)
