"""The stage: all lines, one table, and an exit code that a script can rely on."""

from pathlib import Path

import pyarrow.parquet as pq

from dacr.core import files, manifest
from dacr.core.cli import StrList
from dacr.data import matrix_store
from dacr.data import table as tables
from dacr.experiment.verify import benchmark, offline
from dacr.experiment.verify.line import Line, skipped, summary, table


def verify(
    *,
    data: Path | None = None,
    pkl: StrList = StrList(),  # noqa: B008 (a tuple: immutable)
    accept_sum: bool = False,
    out: Path | None = None,
) -> int:
    """Check this installation and these data against published numbers, line by line with its source.

    Parameters
    ----------
    data : Path, optional
        Long table from scripts/prepare_routerbench.py.
    pkl : StrList
        Original RouterBench pickles: routerbench_0shot.pkl, routerbench_5shot.pkl, routerbench_raw.pkl.
    accept_sum : bool
        Go on with a file whose SHA-256 differs from the recorded one, without counting that as a mismatch.
    out : Path, optional
        Write the table there too.

    Returns
    -------
    int
        Exit code: 1 if any line is a mismatch, else 0. A skip is no success and no failure: it is printed.
    """
    lines = offline.lines()
    lines += _of_table(data) if data else [skipped("published numbers on a long table", "no --data was given")]
    for path in pkl:
        lines += benchmark.lines(Path(path), accept_sum)
    if not pkl:
        lines.append(skipped("row counts, means, oracle counts and areas of the original files", "no --pkl was given"))
    text = f"{table(lines)}\n\n{summary(lines)}"
    print(text)
    if out:
        files.write_text(out, text + "\n")
    return 1 if any(line.verdict == "MISMATCH" for line in lines) else 0


def _of_table(path: Path) -> list[Line]:
    routing = tables.load(path)
    label = path.name
    is_store = matrix_store.is_store(path)
    made = matrix_store.manifest_of(path) if is_store else manifest.from_metadata(pq.read_schema(path).metadata)
    if made.get("loader") == "sample":
        reason = "is the generated benchmark: published means hold for it in expectation alone"
        return [skipped(f"{label}, published numbers", reason)]
    quality, cost, domain = routing.quality, routing.cost_usd, list(routing.domain)
    lines = benchmark.mbpp(routing.model, domain, quality, cost, label)
    if routing.n_query != benchmark.N_QUERY["0-shot"]:
        reason = f"has {routing.n_query:,} queries, the whole 0-shot file {benchmark.N_QUERY['0-shot']:,}"
        return [*lines, skipped(f"{label}, counts and means", reason)]
    # 5-shot has as many queries once its half-empty rows are merged; the means tell the two apart.
    if "5shot" in str(made.get("inputs", "")) + str(made.get("config", "")):
        return [*lines, skipped(f"{label}, counts and means", "is 5-shot; the published means are of 0-shot")]
    return [*lines, *benchmark.counts(domain, quality, label), *benchmark.means(routing.model, quality, cost, label)]
