"""ParetoBandit's judged prompts: 4 models, the quality is a judge's score in [0, 1]."""

import pandas as pd

from dacr.core.registry import loaders
from dacr.data.loaders.base import Loader, sample_rows
from dacr.data.loaders.texts import numbers, texts


@loaders.register("paretobandit")
class ParetoBandit(Loader):
    """Columns ``prompt, source, difficulty, split, model, reward, cost``; no responses, no ids."""

    known_by = ({"prompt", "source", "model", "reward", "cost"},)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two prompts and two models."""
        rows = sample_rows(domain="source", quality="reward").drop(columns=["qid", "response"])
        return rows.assign(difficulty=0.5, split="test")

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Number the distinct (source, prompt) pairs in file order, so that ids do not hold the text."""
        prompt, source = texts(frame["prompt"]).astype(object), texts(frame["source"]).astype(object)
        pair = source + "\x1f" + prompt
        code, names = pd.factorize(pair)
        ids = pd.Index([name.split("\x1f", 1)[0] + f".{i}" for i, name in enumerate(names)], dtype=object)
        long = pd.DataFrame(
            {
                "qid": ids.take(code).to_numpy(),
                "prompt": prompt.to_numpy(),
                "domain": source.to_numpy(),
                "model": texts(frame["model"]).to_numpy(),
                "response": "",
                "quality": numbers(frame, "reward"),
                "cost": numbers(frame, "cost"),
            }
        )
        further = [name for name in ("difficulty", "split") if name in frame.columns]
        return pd.concat([long, frame[further].reset_index(drop=True)], axis=1)
