"""The stream file: which test query arrives when, and under which load.

One JSON line per arrival, sorted by ``arrival_s``: ``arrival_s, ts, qid, domain, prompt, lat_mult``
(see ``docs/files.md``).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dacr.core import files, manifest
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.values import Above0, FactorFrom1, ShareBelow1, ShareBetween, Whole
from dacr.data import splits
from dacr.data.table import RoutingTable, load
from dacr.types import Floats, Ints
from dacr.workload import arrivals
from dacr.workload.arrivals import CAP, REFERENCE_QPS, UTILISATION, WINDOW, load_multiplier

FIELDS = {"arrival_s": 0.0, "ts": -float("inf"), "qid": None, "domain": None, "prompt": None, "lat_mult": 1.0}
"""What a line has: texts, and numbers with the lowest that they may be."""
MADE_BY = "python scripts/build_stream.py"


@dataclass(frozen=True)
class Stream:
    """Arrivals in order.

    Attributes
    ----------
    qid, domain, prompt : (n,) object
    arrival_s : (n,) float, stream seconds, ascending
    ts : (n,) float, Unix seconds of the replay
    lat_mult : (n,) float, at least 1
    """

    qid: NDArray[np.object_]
    domain: NDArray[np.object_]
    prompt: NDArray[np.object_]
    arrival_s: Floats
    ts: Floats
    lat_mult: Floats

    def __len__(self) -> int:
        return len(self.qid)


def build_stream(
    *,
    data: Path = Path("data/routerbench_raw_long.parquet"),
    split: Literal["test", "train", "all"] = "test",
    ood_holdout: StrList = StrList(),  # noqa: B008 (a tuple: immutable)
    out: Path = Path("data/stream.jsonl"),
    rate_qps: Above0 = 3.0,
    max_queries: Whole = 1500,
    time_warp: Above0 = 200.0,
    test_size: ShareBetween = 0.2,
    split_seed: int = 0,
    seed: int = 1,
    burst: str = "",
    trace: Path | None = None,
    trace_rescale: bool = False,
    start: float | None = None,
    utilisation: ShareBelow1 = UTILISATION,
    reference_qps: Above0 = REFERENCE_QPS,
    load_window: Above0 = WINDOW,
    lat_mult_cap: FactorFrom1 = CAP,
) -> None:
    """Write the timestamped stream of queries that latency simulation and replay read.

    Parameters
    ----------
    data
        Long table from scripts/prepare_routerbench.py.
    split
        Which queries arrive: test (the experiment's own test part), train or all.
    ood_holdout
        Test every domain that begins with one of these, and none other: "grade-school-math,mbpp"; "=mbpp" is
        that domain alone.
    out
        The stream file; its manifest is written beside it.
    rate_qps
        Mean arrivals per stream second.
    max_queries
        At most this many queries, the first in shuffled order; 0 takes all.
    time_warp
        Stream seconds per wall second (1: real time): ts = start + arrival_s / time_warp.
    test_size
        Share of each domain that is tested where no domain is held out.
    split_seed
        Names the split.
    seed
        Names the order of the queries and the arrivals.
    burst
        Rates that cycle, "qps@seconds,...", such as "20@30,2@60"; replaces rate_qps.
    trace
        CSV of real arrivals with a column TIMESTAMP; its gaps are replayed, from the start again where it is short.
    trace_rescale
        Stretch the trace to a mean of rate_qps.
    start
        Unix time of the first second of the replay; the current system time by default.
    utilisation
        Share of capacity in use at reference_qps; lat_mult is 1 / (1 - utilisation) there. 0 switches load off.
    reference_qps
        Requests per stream second at which utilisation holds: a stream at twice that rate has twice the load.
    load_window
        Mean number of arrivals in the trailing window over which the load is measured.
    lat_mult_cap
        Largest lat_mult.
    """
    settings: dict[str, Any] = dict(locals())
    if start is None:
        start = float(round(time.time()))
    elif not np.isfinite(start):
        raise UserError(f"--start must be a Unix time in seconds, got {start}")
    check_writable(out, [data, trace])
    table = load(data, with_response=False, incomplete=True)
    rows = split_rows(table, split, tuple(ood_holdout), test_size, split_seed)
    chosen = splits.shuffled(list(table.qid), rows, seed)[: max_queries or None]
    arrival_s, mean_qps = arrivals_of(len(chosen), rate_qps, burst, trace, trace_rescale, seed)
    lat_mult = load_multiplier(arrival_s, utilisation, load_window, lat_mult_cap, mean_qps / reference_qps).round(6)
    columns = {
        "arrival_s": arrival_s.tolist(),
        "ts": (start + arrival_s / time_warp).round(6).tolist(),
        "qid": table.qid[chosen].tolist(),
        "domain": table.domain[chosen].tolist(),
        "prompt": table.prompt[chosen].tolist(),
        "lat_mult": lat_mult.tolist(),
    }
    inputs = {"data": data} | ({"trace": trace} if trace else {})
    about = manifest.build("build_stream", settings | {"start": start}, inputs, n_query=len(chosen), n_split=len(rows))
    files.write_jsonl(out, (dict(zip(FIELDS, line, strict=True)) for line in zip(*columns.values(), strict=True)))
    files.write_json(manifest_path(out), about)
    span = float(arrival_s[-1])
    pace = f" ({(len(chosen) - 1) / span:.2f} a second)" if span > 0 else ""
    print(
        f"wrote {out}: {len(chosen)} of the {len(rows)} queries of split {split!r} "
        f"({len(set(columns['domain']))} domains), over {span:.1f} stream seconds{pace}; "
        f"lat_mult median {np.median(lat_mult):.2f}, largest {lat_mult.max():.2f}"
    )


def split_rows(
    table: RoutingTable, split: str, ood_holdout: tuple[str, ...], test_size: float, split_seed: int
) -> Ints:
    """Return the table's query rows of ``split``: test, train or all."""
    if split == "all":
        return np.arange(table.n_query)
    parts = splits.split_queries(list(table.qid), list(table.domain), ood_holdout, test_size, split_seed)
    return parts.test if split == "test" else parts.train


def arrivals_of(
    n: int, rate_qps: float, burst: str, trace: Path | None, trace_rescale: bool, seed: int
) -> tuple[Floats, float]:
    """Return ``(n,)`` arrival times in stream seconds by the flags of :func:`build_stream`, and the mean rate.

    The rate, in requests per stream second, is the one that was asked for; of a trace as it is the one that it has.
    """
    if burst and trace:
        raise UserError("--burst and --trace both say when requests arrive; give one of them")
    if trace_rescale and not trace:
        raise UserError("--trace_rescale needs --trace FILE; without a trace --rate_qps is the rate")
    if burst:
        pieces = arrivals.parse_bursts(burst)
        qps, seconds = np.array(pieces).T
        return arrivals.bursts(n, pieces, seed).round(6), float((qps * seconds).sum() / seconds.sum())
    if not trace:
        return arrivals.poisson(n, rate_qps, seed).round(6), rate_qps
    times = arrivals.trace(n, arrivals.read_trace(trace), rate_qps if trace_rescale else None).round(6)
    rescaled = trace_rescale or times[-1] <= times[0]
    return times, rate_qps if rescaled else float((n - 1) / (times[-1] - times[0]))


def read_stream(path: str | Path) -> Stream:
    """Read a stream file.

    Raises
    ------
    UserError
        With the line: a field that is missing or of the wrong kind, a query that stands twice, an
        arrival before the one above it, a negative time, ``lat_mult`` below 1.
    """
    rows = files.read_jsonl(path, FIELDS, MADE_BY)

    def line(index: int) -> str:
        return f"{path}, line {line_number(path, index)}"

    kinds = {name: object if lowest is None else float for name, lowest in FIELDS.items()}
    stream = Stream(**{name: np.array([row[name] for row in rows], dtype=kind) for name, kind in kinds.items()})
    seen: dict[str, int] = {}
    for index, qid in enumerate(stream.qid):
        if not qid:
            raise UserError(f"{line(index)}: qid must be a string that is not empty")
        if qid in seen:
            raise UserError(
                f"{line(index)}: qid {qid!r} stands already in line {line_number(path, seen[qid])}; keep one"
            )
        seen[qid] = index
    back = np.flatnonzero(np.diff(stream.arrival_s) < 0)
    if len(back):
        at = int(back[0]) + 1
        raise UserError(
            f"{line(at)}: arrival_s {stream.arrival_s[at]:g} comes before {stream.arrival_s[at - 1]:g} in the line "
            "above; sort the file by arrival_s"
        )
    return stream


def line_number(path: str | Path, index: int) -> int:
    """Return the line, counted from 1, of the ``index``-th line that is not blank."""
    with open(path, encoding="utf-8-sig") as file:
        filled = (number for number, text in enumerate(file, start=1) if text.strip())
        return next(number for place, number in enumerate(filled) if place == index)


def manifest_path(out: str | Path) -> Path:
    """Return where the manifest of a JSONL file stands: ``data/stream.manifest.json``."""
    return Path(out).with_suffix(".manifest.json")


def check_writable(out: str | Path, inputs: Sequence[str | Path | None]) -> None:
    """Refuse an output that is a folder or one of the inputs, before any work is done."""
    out = Path(out)
    if out.is_dir():
        raise UserError(f"{str(out)!r} is a folder, expected a file to write such as {str(out / 'out.jsonl')!r}")
    if any(Path(path).resolve() == out.resolve() for path in inputs if path):
        raise UserError(f"{str(out)!r} is an input of this stage and would be overwritten; name another output")
