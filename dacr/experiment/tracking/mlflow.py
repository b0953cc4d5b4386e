"""``--track mlflow:URI``: parameters, metrics, files and the manifest of an experiment, for an MLflow server.

The results folder is written before anything is sent. A server that fails is a warning, never a lost result.
"""

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from dacr.core.errors import UserError
from dacr.experiment.writer import DERIVED, WRITTEN

EXPERIMENT = "dacr"
AT_ONCE = 100
"""Parameters or metrics in one request: the protocol takes 100 parameters."""
LONGEST = 6000
"""Letters of a parameter that the protocol takes."""

PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""The client's own variables, where the environment does not set them: by default a dead server takes minutes, the
client tells its makers of its use, and prints."""


def address(track: str) -> str:
    """Return the URI of ``mlflow:URI``; "" where nothing is tracked.

    Raises
    ------
    UserError
        Another tracker, no URI, a password in it, or MLflow is not installed.
    """
    if not track:
        return ""
    kind, _, uri = track.partition(":")
    if kind != "mlflow" or not uri:
        raise UserError(f"--track: got {track!r}, expected mlflow:URI, such as mlflow:http://127.0.0.1:5000")
    if urlsplit(uri).password is not None:
        raise UserError(
            "--track: the URI holds a password, which would be kept in the manifest; give it as "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if importlib.util.find_spec("mlflow") is None:
        raise UserError("--track needs MLflow: pip install -r requirements-track.txt")
    return uri


def log(uri: str, folder: Path) -> bool:
    """Log a results folder as one run; say in one line on stderr where it is, or why it is not there."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        where = _logged(uri, folder)
    except Exception as error:  # whatever the client or its server raises: the results are written already
        reason = " ".join(str(error).split())[:300]
        print(f"warning: not tracked by {uri} ({type(error).__name__}: {reason}); {folder} is whole", file=sys.stderr)
        return False
    print(f"tracked by {uri}: {where}", file=sys.stderr)
    return True


def _logged(uri: str, folder: Path) -> str:
    import mlflow
    from mlflow.entities import Metric, Param

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    client = mlflow.MlflowClient(tracking_uri=uri)
    known = client.get_experiment_by_name(EXPERIMENT)
    number = known.experiment_id if known else client.create_experiment(EXPERIMENT)
    tags = {"dacr": str(manifest["dacr"]), "git_commit": str(manifest["git"]["commit"])}
    tags |= {f"input.{role}": str(file["sha256"]) for role, file in manifest["inputs"].items()}
    run = client.create_run(number, run_name=folder.resolve().name, tags=tags).info.run_id
    try:
        told = [Param(name, str(value)[:LONGEST]) for name, value in manifest["config"].items()]
        for i in range(0, len(told), AT_ONCE):
            client.log_batch(run, params=told[i : i + AT_ONCE])
        measured = [Metric(name, value, 0, 0) for name, value in metrics_of(folder)]
        for i in range(0, len(measured), AT_ONCE):
            client.log_batch(run, metrics=measured[i : i + AT_ONCE])
        for name in (*WRITTEN, *DERIVED):
            path = folder / name
            if path.is_dir():
                client.log_artifacts(run, str(path), name)
            elif path.is_file():
                client.log_artifact(run, str(path))
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run, "FINISHED")
    return f"experiment {EXPERIMENT}, run {run}"


def metrics_of(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield ``ROUTER/COLUMN`` and the value of every number in ``summary.csv``, by names that MLflow takes.

    Examples
    --------
    >>> name_of("a%b/net_area")
    'a_b/net_area'
    """
    summary: Any = pd.read_csv(folder / "summary.csv", dtype={"policy": str}, keep_default_na=False, na_values=[""])
    for row in summary.to_dict("records"):
        for column, value in row.items():
            if isinstance(value, float) and value == value:
                yield name_of(f"{row['policy']}/{column}"), value


def name_of(text: str) -> str:
    """Return a name with the letters that MLflow takes; any other becomes ``_``."""
    return re.sub(r"[^\w\-. :/]", "_", text, flags=re.ASCII)
