"""The sample in RouterBench's own file schemas: wide 0-shot, wide 5-shot and raw, as pickles.

Texts become stringified Python lists as in the real files (a few-shot preface is an element of its own),
columns stand in the real order, and ``oracle_model_to_route_to`` names the cheapest of the best models.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data import write
from dacr.data.sample import facts
from dacr.data.sample.facts import Texts
from dacr.data.sample.generate import Sample, generate, iter_chunks
from dacr.data.sample.many import write_wide
from dacr.data.sample.prompts import five_shots, preface_of
from dacr.types import Floats

_OBJECT = np.dtype(object)
_UNSOLVED = "no_model_correct"
_SPLIT_DOMAIN, _SPLIT_SHARE = "arc-challenge", 14 / 1_470
FileKind = Literal["all", "0shot", "5shot", "raw", "long", "many"]


def wide(sample: Sample, shots: int = 0) -> pd.DataFrame:
    """Return one row per query, a group of columns per model.

    With ``shots=5`` single-choice questions stand behind five answered examples, cost what these add, and
    about one in a hundred arc-challenge ids (at least one) stands on two rows, each empty for the models
    of the other.

    Raises
    ------
    UserError
        ``shots`` is neither 0 nor 5.
    """
    if shots not in (0, 5):
        raise UserError(f"shots must be 0 or 5, got {shots}; RouterBench has no other file")
    quality, response = sample.quality, sample.response
    cost = sample.cost_usd + (_shot_cost(sample.domain) if shots else 0.0)
    assert response is not None
    columns: dict[str, object] = {
        "sample_id": sample.qid,
        "prompt": _prompts(sample, shots),
        "eval_name": sample.domain,
    }
    columns |= {model: quality[:, m] for m, model in enumerate(sample.model)}
    columns |= {f"{facts.MODELS[m]}|model_response": _listed(response[:, m]) for m in facts.WIDE_ORDER}
    columns |= {f"{facts.MODELS[m]}|total_cost": cost[:, m] for m in facts.WIDE_ORDER}
    columns["oracle_model_to_route_to"] = _oracle(quality, cost)
    frame = _of_objects(columns)
    return _with_split_rows(frame, sample) if shots else frame


def raw(sample: Sample) -> pd.DataFrame:
    """Return one row per query and model under the raw file's column names."""
    n_model = len(sample.model)
    assert sample.response is not None
    return _of_objects(
        {
            "sample_id": np.repeat(sample.qid, n_model),
            "prompt": np.repeat(_prompts(sample, 0), n_model),
            "eval_name": np.repeat(sample.domain, n_model),
            "model_name": np.tile(np.array(sample.model, dtype=object), len(sample.qid)),
            "model_response": _listed(sample.response.ravel()),
            "performance": sample.quality.ravel(),
            "total_cost": sample.cost_usd.ravel(),
        }
    )


def write_files(
    *, out_dir: str = "data/sample", sample: int = 2000, seed: int = 0, kind: FileKind = "all", models: int = 500
) -> None:
    """Write the embedded benchmark to a folder, in RouterBench's three file schemas and as a long table.

    Parameters
    ----------
    out_dir
        Folder for routerbench_0shot.pkl, routerbench_5shot.pkl, routerbench_raw.pkl and long.parquet.
    sample
        Number of queries, at least 500.
    seed
        Seed of every draw.
    kind
        Which files: all, 0shot, 5shot, raw, long, or many: a wide Parquet file (many.parquet) with any number of
        models, which all leaves out. Only long and many are made in chunks, in bounded memory.
    models
        Number of models of many.parquet.
    """
    folder = files.make_folder(out_dir)
    if kind == "many":
        n_row = write_wide(folder / "many.parquet", sample, models, seed)
        print(f"{folder / 'many.parquet'}: {n_row:,} rows x {models:,} models")
        return
    if kind == "long":
        n_row = write_long(folder / "long.parquet", sample, seed)
        print(f"{folder / 'long.parquet'}: {n_row:,} rows")
        return
    made = generate(sample, seed)
    for name in ("0shot", "5shot", "raw"):
        if kind in ("all", name):
            frame = raw(made) if name == "raw" else wide(made, int(name[0]))
            target = folder / f"routerbench_{name}.pkl"
            with files.atomic_path(target) as temporary:
                frame.to_pickle(temporary, protocol=4)
            print(f"{target}: {len(frame):,} rows")
    if kind == "all":
        print(f"{folder / 'long.parquet'}: {write_long(folder / 'long.parquet', sample, seed):,} rows")


def write_long(target: str | Path, n_query: int, seed: int = 0) -> int:
    """Write the long table chunk by chunk, whole or not at all; return the number of rows."""
    summary = write.write_long(target, iter_chunks(n_query, seed), {"stage": "sample", "n_query": n_query})
    return summary.n_query * len(summary.models)


def _listed(texts: Texts) -> Texts:
    return np.array([repr([text]) for text in texts], dtype=object)


def _prompts(sample: Sample, shots: int) -> Texts:
    lists = []
    for domain, text in zip(sample.domain, sample.prompt, strict=True):
        preface = preface_of(domain)
        question = text[len(preface) + 1 :] if preface else text
        before = five_shots(domain) if shots else ""
        lists.append(repr([preface, question] if preface else [before + question]))
    return np.array(lists, dtype=object)


def _shot_cost(domain: Texts) -> Floats:
    tokens = {name: len(five_shots(name)) / 4.0 for name in facts.DOMAINS}
    return np.array([tokens[name] for name in domain])[:, None] * facts.PRICE_IN


def _oracle(quality: Floats, cost: Floats) -> Texts:
    best = quality.max(axis=1)
    cheapest = np.where(quality == best[:, None], cost, np.inf).argmin(axis=1)
    return np.where(best == 0, _UNSOLVED, np.array(facts.MODELS, dtype=object)[cheapest])


def _with_split_rows(frame: pd.DataFrame, sample: Sample) -> pd.DataFrame:
    rows = np.flatnonzero(sample.domain == _SPLIT_DOMAIN)
    split = rows[:: max(1, round(1 / _SPLIT_SHARE))]
    first, second = frame.iloc[split].copy(), frame.iloc[split].copy()
    for m, model in enumerate(sample.model):
        emptied = first if m % 2 else second
        emptied[[model, f"{model}|total_cost"]] = np.nan
        emptied[f"{model}|model_response"] = None
    rest = frame.drop(index=frame.index[split])
    # A query's two rows keep its place, one behind the other.
    return pd.concat([rest, first, second]).sort_index(kind="stable").reset_index(drop=True)


def _of_objects(columns: dict[str, object]) -> pd.DataFrame:
    """Build a frame whose texts are plain objects, as older pandas wrote them."""
    texts = (pd.Series(v, dtype=object) if getattr(v, "dtype", None) is _OBJECT else v for v in columns.values())
    series = dict(zip(columns, texts, strict=True))
    frame = pd.DataFrame(series)
    frame.columns = pd.Index(list(columns), dtype=object)
    return frame
