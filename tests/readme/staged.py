"""What the pages take for granted: the embedded benchmark under the names that they use, and files of their readers."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import yaml

from dacr.core.files import CONFIGS
from dacr.data import hub

LONG = ("data/routerbench_raw_long", "data/routerbench_long", "data/long", "long", "rb5", "pareto", "zeroeval_long")
FAMILIES = {"grade-school-math": "gsm8k", "arc-challenge": "bbh"}
"""Of the embedded benchmark, under the names of the second real set."""


def stage(folder: Path, script: Callable[..., object]) -> Path:
    """Write the files into an empty folder; return it."""
    (folder / "data").mkdir()

    def run(name: str, *args: object) -> None:
        done = script(name, *args, cwd=folder)
        assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]

    run("make_sample.py", "--out_dir", folder, "--sample", 600, "--kind", "raw")
    run("prepare_routerbench.py", "--sample", 600, "--out", "long.parquet")
    for name in LONG[:-2]:
        shutil.copy(folder / "long.parquet", folder / f"{name}.parquet") if name != "long" else None
    frame = pd.read_parquet(folder / "long.parquet")
    frame.to_parquet(folder / "big.parquet")
    pair = frame[frame["model"].isin(["gpt-3.5-turbo-1106", "gpt-4-1106-preview"])]
    pair.to_parquet(folder / "data" / "pair.parquet")
    family = frame["domain"].astype(str).replace(FAMILIES)
    for name in LONG[-2:]:
        frame.assign(domain=family).to_parquet(folder / f"{name}.parquet")
    judged = (
        frame.astype({"domain": str})
        .rename(columns={"domain": "source", "quality": "reward"})
        .assign(difficulty=0.5, split="test")
    )
    judged[judged["model"].isin(sorted(set(frame["model"]))[:4])].to_parquet(folder / "paretobandit_k4_long.parquet")
    run("build_stream.py", "--data", "long.parquet", "--out", "data/stream.jsonl", "--max_queries", 6)
    run("run_experiment.py", "--routers", "dacr,predict_optimize,zero", "--orders", 2, "--dacr_floor", 0.1,
        "--lambdas", "0,50,200", "--results_dir", "results_dacr")  # fmt: skip
    run("run_experiment.py", "--routers", "dacr", "--orders", 2, "--lambdas", "50", "--results_dir", "served",
        "--save_router", "FILE")  # fmt: skip
    first = frame.groupby("qid", sort=False).head(1)
    first[["qid", "model"]].to_csv(folder / "my_router.csv", index=False)
    (folder / "folder" / "submissions").mkdir(parents=True)
    shutil.copy(folder / "my_router.csv", folder / "folder" / "submissions")
    shutil.copy(folder / "long.parquet", folder / "folder" / "data.parquet")
    _logs(folder, frame)
    fits = [
        one["fit"]
        for one in yaml.safe_load((CONFIGS / "latency.yaml").read_text())["profiles"].values()
        if "fit" in one
    ]
    places = {(at, size) for fit in fits for at in fit.get("providers", ["here"]) for size in fit.get("sizes", ["any"])}
    measured = pd.DataFrame(sorted(places) * 5, columns=["provider", "size"])
    measured = measured.assign(error_code="", ttft_s=0.5, end_to_end_latency_s=2.5, number_output_tokens=101)
    measured.to_csv(folder / "measured.csv", index=False)
    shutil.copy(CONFIGS / "chain.yaml", folder)
    shutil.copy(Path(__file__).parents[1] / "contracts" / "newcomer" / "my_router.py", folder / "my_part.py")
    (folder / "small.yaml").write_text(
        "data: sample:600\ngrids: {one: {ood_holdout: mbpp, routers: 'static,zero', lambdas: '0,100', seeds: 1}}\n"
    )
    return folder


def _logs(folder: Path, frame: pd.DataFrame) -> None:
    """A gateway's log of one model a request, its ratings, and a cache of scored answers of each model."""
    models = sorted(set(frame["model"]))[:3]
    frame = frame[frame["model"].isin(models)]
    (folder / "caches").mkdir()
    for model, rows in frame.groupby("model"):
        (folder / "caches" / f"{model.replace('/', '_')}.jsonl").write_text(
            "".join(
                json.dumps(
                    {
                        "global_index": f"{row.domain}_{row.qid}",
                        "question": row.prompt,
                        "llm_selected": model,
                        "generated_answer": row.response,
                        "evaluation_result": {"score": row.quality, "inference_cost": row.cost},
                    }
                )
                + "\n"
                for row in rows.itertuples()
            )
        )
    called = frame.groupby("qid", sort=False).sample(1, random_state=0).reset_index(drop=True)
    (folder / "spend.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "request_id": str(row.qid),
                    "model": row.model,
                    "model_group": "chat",
                    "spend": row.cost,
                    "startTime": "2024-01-31T00:00:00",
                    "endTime": "2024-01-31T00:00:02",
                    "messages": "",
                    "response": {"choices": [{"message": {"content": row.response}}]},
                }
            )
            + "\n"
            for row in called.itertuples()
        )
    )
    called.assign(request_id=called["qid"], score=called["quality"])[["request_id", "score"]].to_csv(
        folder / "scores.csv", index=False
    )


class _OneFile(BaseHTTPRequestHandler):
    """A Hub that has the pinned raw file alone."""

    content = b""

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        known = self.path == f"/datasets/{hub.REPO}/resolve/{hub.REVISION}/{hub.FILE}"
        content = self.content if known else b""
        self.send_response(200 if known else 404)
        self.send_header("X-Repo-Commit", hub.REVISION)
        self.send_header("ETag", '"made-for-this-test"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def hub_of(content: bytes) -> Iterator[str]:
    """Address of a Hub on this machine that serves these bytes as routerbench_raw.pkl."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_OneFile,), {"content": content}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
