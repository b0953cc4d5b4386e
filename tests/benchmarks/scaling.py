"""How an experiment grows with its table: ``python -m tests.benchmarks.scaling`` writes docs/scaling_size.md's tables.

Every size runs in a process of its own. Stages are those of ``stages.csv``; rates, tables and the figure come after.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from dacr.core import cli, files, manifest
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.data.matrix_store import SUFFIX
from dacr.data.prepare import prepare_routerbench
from dacr.data.sample.generate import SMALLEST
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.stages import Stages, peak_mib
from tests.benchmarks import decisions, document, figure
from tests.benchmarks.decisions import static_names
from tests.benchmarks.exponents import exponents

SIZES = IntList((2_000, 10_000, 30_000, 100_000, 300_000, 1_000_000))


def benchmark(
    *,
    sizes: IntList = SIZES,
    repeats: int = 1,
    rate_queries: int = 200_000,
    learner_queries: int = 2_000,
    learner_runs: int = 100,
    results_dir: Path = Path("results_benchmark"),
    document_file: Path | None = None,
    scratch: Path | None = None,
) -> None:
    """Measure stage times, peak memory and decisions per second; fit how they grow with the number of queries.

    Parameters
    ----------
    sizes
        Numbers of generated queries; the exponents are fitted from 10,000 up. 1,000,000 takes six minutes of one
        core and 6 GiB.
    repeats
        Times that every size is measured; the least is shown, all enter the fits.
    rate_queries
        Requests on which static routers are timed.
    learner_queries
        Stream positions on which dacr is timed.
    learner_runs
        Runs of dacr abreast: ten prices times orders.
    results_dir
        Folder for stages.csv, exponents.csv, rates.csv, scaling.png and manifest.json.
    document_file
        A Markdown file with the benchmark's two markers, whose table is replaced; the figure goes beside it as
        img/scaling_size.png.
    scratch
        Folder for generated tables, removed afterwards; the system's by default.
    """
    _require(sizes, repeats, rate_queries, learner_queries, learner_runs)
    if document_file is not None:
        files.existing_file(document_file)
    config = {
        name: value for name, value in locals().items() if name not in ("results_dir", "document_file", "scratch")
    }
    rows: list[dict[str, Any]] = []
    for n_query in sizes:
        for repeat in range(repeats):
            print(f"{n_query:,} queries, repeat {repeat + 1} of {repeats}", flush=True)
            rows += [{**row, "repeat": repeat} for row in _apart(n_query, scratch)]
    stages = pd.DataFrame(rows)
    fitted = exponents(stages)
    print("decisions per second", flush=True)
    rates = _rates(rate_queries, learner_queries, learner_runs)
    with files.atomic_folder(results_dir) as folder:
        for name, table in {"stages": stages, "exponents": fitted, "rates": rates}.items():
            files.write_text(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6g"))
        figure.save(stages, folder / "scaling.png")
        files.write_json(folder / "manifest.json", manifest.build("benchmark", config))
    text = f"{document.stage_table(stages, fitted)}\n\n{document.rate_table(rates)}"
    print(text)
    if document_file is not None:
        figure.save(stages, document_file.parent / "img" / "scaling_size.png")
        document.insert(document_file, f"![Processor time and memory over sizes](img/scaling_size.png)\n\n{text}")
        print(f"wrote {document_file}")
    print(f"wrote {results_dir}")


def _require(sizes: IntList, repeats: int, rate_queries: int, learner_queries: int, learner_runs: int) -> None:
    if not sizes or min(sizes) < SMALLEST or len(set(sizes)) != len(sizes):
        raise UserError(f"--sizes: got {','.join(map(str, sizes))}, expected distinct numbers of at least {SMALLEST}")
    for name, value, least in (
        ("repeats", repeats, 1), ("rate_queries", rate_queries, 1000),
        ("learner_queries", learner_queries, 100), ("learner_runs", learner_runs, 10),
    ):  # fmt: skip
        if value < least:
            raise UserError(f"--{name}: got {value}, expected at least {least}")


def _apart(n_query: int, scratch: Path | None) -> list[dict[str, Any]]:
    """Run the stages in a fresh process: memory that an earlier size left behind would count here."""
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(dir=scratch, prefix="dacr-benchmark-") as folder,
        ProcessPoolExecutor(1, mp_context=context) as pool,
    ):
        return pool.submit(_collect, n_query, Path(folder)).result()


def _collect(n_query: int, folder: Path) -> list[dict[str, Any]]:
    """Generate a table, make a store of it, run a small experiment on it; return what each stage took."""
    long, store = folder / "long.parquet", folder / f"matrices{SUFFIX}"
    start, stages = peak_mib(), Stages()
    with contextlib.redirect_stdout(io.StringIO()):
        stages("generate")
        prepare_routerbench(sample=n_query, out=str(long))
        stages("convert to a store")
        prepare_routerbench(pkl=str(long), out=str(store))
        made = stages.frame()
        run_experiment(settings_of(long, folder / "results"))
    made = pd.concat([made[made["stage"] != "table"], pd.read_csv(folder / "results" / "stages.csv")])
    made["stage"] = made["stage"].str.removesuffix(": fit")  # a router's fit counts as the router
    took = {"wall_s": "sum", "processor_s": "sum", "peak_mib": "max"}
    made = made.groupby("stage", sort=False, as_index=False).agg(took)
    for row in made.itertuples():
        print(f"  {row.stage:24} {row.processor_s:8.2f} s  {row.peak_mib:8,.0f} MiB", flush=True)
    rows: list[dict[str, Any]] = made.assign(n_query=n_query, start_mib=start).to_dict("records")
    return rows


def settings_of(data: Path, results_dir: Path) -> ExperimentSettings:
    """Return a small experiment: a fifth of the queries tested, two prices, two orders, one job."""
    return ExperimentSettings(
        data=data,
        results_dir=results_dir,
        lambdas=FloatList([5.0, 50.0]),
        seeds=IntList([1]),
        orders=2,
        routers=StrList([*static_names(), "dacr"]),
        calibrators=StrList(["platt", "base_slope"]),
        n_jobs=1,
        no_cache=True,
    )


def _rates(rate_queries: int, learner_queries: int, learner_runs: int) -> pd.DataFrame:
    problem = decisions.make_problem(rate_queries)
    found = decisions.rates(decisions.static_names(), problem)
    small = decisions.make_problem(learner_queries)
    batched = {
        f"{name}, {learner_runs} runs abreast": decisions.learner_rate(name, small, learner_runs)
        for name in decisions.learner_names()
    }
    return pd.DataFrame({"router": [*found, *batched], "per_second": [*found.values(), *batched.values()]})


if __name__ == "__main__":
    sys.exit(cli.run(benchmark))
