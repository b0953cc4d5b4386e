"""What happens to outcomes between a loader and the table: masked, joined, scored, scaled, priced."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.data.loaders import frames
from dacr.data.loaders.base import prompt_ids
from dacr.data.loaders.texts import masked_column, numbers, one_of, texts
from dacr.data.prices import Pricing
from dacr.data.sources import members


@dataclass
class Refinery:
    """Refines chunks of outcomes.

    Parameters
    ----------
    pricing : Pricing or None
        None where there is no cost: every call costs 0, of ``strong_model`` 1, so that the mean cost of a router is
        the share of its calls that go to it.
    by_prompt : bool
        Join the models' rows by the text of the prompt instead of by id.
    quality_range : tuple of float, or "clip", or None
        Recorded scores that become 0 and 1; or cut at 0 and 1.
    scores : dict or None
        Quality by id, for logs that have none.
    """

    pricing: Pricing | None
    strong_model: str | None = None
    by_prompt: bool = False
    quality_range: tuple[float, float] | str | None = None
    scores: dict[str, float] | None = None
    keep_texts: bool = True
    n_clipped: int = 0

    def __call__(self, chunks: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Yield the chunks refined."""
        for chunk in chunks:
            yield self._refined(chunk)

    def told(self, recorded: str = "") -> dict[str, Any]:
        """Return what goes into the manifest of the table; ``recorded`` is the day of the recording, if known."""
        out: dict[str, Any] = {"joined_by": "prompt"} if self.by_prompt else {}
        if self.n_clipped:
            out["n_clipped"] = self.n_clipped
        if self.pricing is None:
            return out | {"cost": f"share of calls to {self.strong_model}"}
        return out | {"pricing": self.pricing.summary() | {"recorded": recorded}}

    def lines(self) -> Iterator[str]:
        """Yield what a user wants told."""
        if self.n_clipped:
            yield f"clipped {self.n_clipped} scores to [0, 1]"
        if self.pricing is not None:
            yield from self.pricing.lines()

    def _refined(self, chunk: pd.DataFrame) -> pd.DataFrame:
        if "response" not in chunk.columns:
            chunk = chunk.assign(response="")
        chunk = chunk.assign(prompt=masked_column(chunk["prompt"]), response=masked_column(chunk["response"]))
        if self.by_prompt:
            code, names = pd.factorize(texts(chunk["prompt"]).astype(object))
            ids = np.array(prompt_ids(names.tolist()), dtype=object)
            chunk = chunk.assign(qid=ids[code])
        if self.scores is not None:
            key = "request_id" if "request_id" in chunk.columns else "qid"
            chunk = chunk.assign(quality=texts(chunk[key]).astype(object).map(self.scores).astype(float))
        chunk = chunk.drop(columns="request_id", errors="ignore")
        if self.quality_range is not None:
            chunk = chunk.assign(quality=self._scaled(chunk["quality"].to_numpy(dtype=np.float64)))
        if self.pricing is None:
            strong = chunk["model"].astype(str) == self.strong_model
            chunk = chunk.assign(cost=np.where(chunk["quality"].isna(), np.nan, strong.astype(float)))
        else:
            chunk = self.pricing.apply(chunk)
        return chunk if self.keep_texts else chunk.assign(prompt="", response="")

    def _scaled(self, quality: Any) -> Any:
        if self.quality_range == "clip":
            cut = np.clip(quality, 0.0, 1.0)
            self.n_clipped += int(((cut != quality) & ~np.isnan(quality)).sum())
            return cut
        assert isinstance(self.quality_range, tuple)
        low, high = self.quality_range
        return (quality - low) / (high - low)


def parse_range(text: str | None) -> tuple[float, float] | str | None:
    """Read ``--quality_range``: ``"1,10"`` or ``"clip"``.

    Examples
    --------
    >>> parse_range("1,10"), parse_range("clip"), parse_range(None)
    ((1.0, 10.0), 'clip', None)
    """
    if text is None or text == "clip":
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = np.nan
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UserError(f"--quality_range should be LOW,HIGH such as 1,10, or clip, got {text!r}")
    return low, high


def read_scores(path: str | Path, metric: str | None = None) -> dict[str, float]:
    """Read a file of scores: columns ``request_id`` (``qid``, ``trace_id``) and ``score`` (``quality``, ``value``).

    Of scores that have a ``name``, as Langfuse's have, ``metric`` chooses one; it may be left out where there is one.
    """
    out: dict[str, float] = {}
    for member in members(path):
        for frame in frames.frames(member):
            if "name" in frame:
                names = sorted(set(texts(frame["name"])))
                if (metric or names[0]) not in names or (metric is None and len(names) > 1):
                    raise UserError(
                        f"--scores {path} holds the scores {names[:12]}; choose one with --quality_metric NAME"
                    )
                frame = frame[texts(frame["name"]) == (metric or names[0])]
            ids = texts(frame[one_of(frame, ("request_id", "qid", "trace_id", "id"))])
            values = numbers(frame, one_of(frame, ("score", "quality", "value")))
            out |= dict(zip(ids, values.tolist(), strict=True))
    if not out:
        raise UserError(f"--scores {path} holds no rows; expected the columns request_id and score")
    return out


def costs_said(told: Mapping[str, Any]) -> str:
    """Say where the costs of a table come from, given its manifest: recorded, a share of calls, or tokens x price.

    Examples
    --------
    >>> costs_said({"cost": "share of calls to gpt-4"}), costs_said({})
    ('share of calls to gpt-4', 'as recorded')
    """
    pricing = told.get("pricing") or {}
    priced = {model: one for model, one in pricing.get("models", {}).items() if one["n_priced"]}
    if not priced:
        return str(told.get("cost") or "as recorded")
    n, estimated = (sum(int(one[name]) for one in priced.values()) for name in ("n_priced", "n_estimated"))
    dates = sorted({pricing["as_of"].get(model, "undated") for model in priced})
    sources = sorted({text for model in priced if (text := pricing.get("source", {}).get(model))})
    tokens = "recorded" if not estimated else f"estimated from texts in {estimated / n:.0%} of rows, else recorded"
    free = pricing["unpriced"]["models"] if pricing["unpriced"]["treated"] == "free" else []
    return (
        f"tokens x prices of {pricing['prices']} (as of {', '.join(dates)}"
        + (f"; {', '.join(sources)}" if sources else "")
        + f") for {len(priced)} models; tokens {tokens}"
        + (f"; no price, counted as free: {', '.join(free)}" if free else "")
    )
