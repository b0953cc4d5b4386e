"""RouterEval: a pickle of nested dicts, scores of pools of models as matrices."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import pickles
from dacr.data.loaders.base import Loader, prompt_ids
from dacr.data.loaders.texts import text_of
from dacr.data.sources import Member

_PARTS = ("train", "val", "test")
_BESIDE = {"split_index", "embedding", "prompt"}


@loaders.register("routereval")
class RouterEval(Loader):
    """``{difficulty: {m: {pool: {"data": {...}, "model": [...]}}}}``: one pool, by ``--quality_metric``."""

    sample_quality: ClassVar[dict[tuple[str, str], float]] = {
        ("Question 0?", "m0"): 1.0,
        ("Question 0?", "m1"): 0.25,
        ("Question 1?", "m0"): 0.0,
        ("Question 1?", "m1"): 0.5,
    }

    known_by = (_BESIDE,)

    def chunks(self, source: Sequence[Member]) -> Iterator[pd.DataFrame]:
        """Yield a pool's parts: train, val, test."""
        for member in source:
            with member.local() as path:
                whole = pickles.load(path, kind=dict)
            yield from self._of_pool(whole, member.name)

    def _of_pool(self, whole: dict[str, Any], name: str) -> Iterator[pd.DataFrame]:
        pools = {
            f"{difficulty}/{size}/{pool}": told
            for difficulty, sizes in whole.items()
            if difficulty not in _BESIDE and isinstance(sizes, dict)
            for size, by_pool in sizes.items()
            for pool, told in by_pool.items()
        }
        wanted = self.quality_metric or (next(iter(pools)) if len(pools) == 1 else "")
        if wanted not in pools:
            raise UserError(f"{name}: choose a pool with --quality_metric, one of {', '.join(list(pools)[:12])}")
        pool, models = pools[wanted], [text_of(model) for model in pools[wanted]["model"]]
        for part in (one for one in _PARTS if f"{one}_score" in pool["data"]):
            score = np.asarray(pool["data"][f"{part}_score"], dtype=np.float64)
            if score.ndim != 2 or score.shape[1] != len(models):
                raise UserError(
                    f"{name}: {part}_score has the shape {score.shape}, expected {len(models)} columns, one per model"
                )
            prompts = _prompts(whole, part, len(score))
            n_model = len(models)
            ids = [own or f"{part}.{i}" for i, own in enumerate(prompt_ids(prompts))]
            yield pd.DataFrame(
                {
                    "qid": np.repeat(np.array(ids, dtype=object), n_model),
                    "prompt": np.repeat(np.array(prompts, dtype=object), n_model),
                    "domain": wanted.split("/", 1)[0],
                    "model": np.tile(np.array(models, dtype=object), len(score)),
                    "response": "",
                    "quality": score.ravel(),
                    "cost": np.nan,
                }
            )

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write one pool of two models."""
        scores = {"train_score": np.array([[1.0, 0.25]]), "test_score": np.array([[0.0, 0.5]])}
        whole = {
            "easy": {2: {"all_strong": {"data": scores, "model": ["m0", "m1"]}}},
            "split_index": {"train": [0], "test": [1]},
            "embedding": {},
            "prompt": ["Question 0?", "Question 1?"],
        }
        pd.to_pickle(whole, folder / "pool.pkl")
        return folder / "pool.pkl"


def _prompts(whole: dict[str, Any], part: str, n: int) -> list[str]:
    """Return the prompts of a part, by its index where there is one; '' where they are not told."""
    prompt, index = whole.get("prompt"), whole.get("split_index") or {}
    if isinstance(prompt, dict):
        found: Any = prompt.get(part, prompt.get(f"{part}_prompt"))
    else:
        rows = index.get(part, index.get(f"{part}_index")) if isinstance(index, dict) else None
        found = None if prompt is None or rows is None else [prompt[int(i)] for i in rows]
    return [text_of(text) for text in found] if found is not None and len(found) == n else [""] * n
