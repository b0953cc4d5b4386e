"""A log with one model per request: read, scored, and how likely each call was."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data.loaders.base import detect_source
from dacr.data.loaders.texts import texts
from dacr.data.refine import Refinery, parse_range, read_scores
from dacr.data.sources import members
from dacr.types import Bools, Floats, Ints

Propensities = Literal["auto", "logged", "by_domain", "overall"]
"""Whether the log says how likely each call was, or it is estimated: a model's share of a domain's calls, or of all."""

TEXTS = ("request", "qid", "prompt", "domain", "model")

LEAST = 5
"""Rated calls that a model needs in a domain for its share there to be an estimate of a propensity."""


@dataclass(frozen=True)
class OneArmLog:
    """Requests of a log, in its order.

    Attributes
    ----------
    request, qid, prompt : (n,) object
        Id of the call; of its query; its text, '' where none was kept.
    domain, model : (n,) int, index into ``domains`` and ``models``
    quality : (n,) float in [0, 1]; NaN where no score came
    cost_usd : (n,) float, USD; NaN where not recorded
    propensity : (n,) float in (0, 1]
        Probability of the call and, where estimated, of its score.
    logged : bool
        Whether the log says the propensities; else they are shares of calls within domains.
    """

    request: NDArray[np.object_]
    qid: NDArray[np.object_]
    prompt: NDArray[np.object_]
    domain: Ints
    model: Ints
    quality: Floats
    cost_usd: Floats
    propensity: Floats
    logged: bool
    domains: tuple[str, ...]
    models: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.request)

    @property
    def rated(self) -> Bools:
        """Where a score came: (n,)."""
        return np.isfinite(self.quality)

    @property
    def told(self) -> str:
        """Where propensities come from, in words."""
        if self.logged:
            return "propensities: logged"
        where = "of all calls" if len(self.domains) == 1 else f"of the calls in each of {len(self.domains)} domains"
        return (
            f"propensities: estimated, the share of each model {where}. This holds only if, within them, which model "
            "was called had nothing to do with the request"
        )


def read_log(
    path: str,
    *,
    loader: str | None,
    scores: str | None,
    options: Mapping[str, Any],
    quality_range: str | None,
    propensities: Propensities,
    keep_prompts: bool,
) -> OneArmLog:
    """Read a log in any format of docs/formats.md; secrets in its texts are masked while it is read.

    Raises
    ------
    UserError
        No request has a score; a score outside [0, 1]; propensities that are asked for and not there, or are none.
    """
    found = members(path)
    name = loader or detect_source(found, path)
    refinery = Refinery(
        pricing=None,
        quality_range=parse_range(quality_range),
        scores=None if scores is None else read_scores(scores, options.get("quality_metric")),
        keep_texts=keep_prompts,
    )
    parts = []
    known: dict[str, str] = {}  # a name that stands in many rows is held once
    for chunk in loaders.get(name)(**options).chunks(found):
        ids = chunk["request_id" if "request_id" in chunk else "qid"]
        kept = {"request": texts(ids).astype(object).to_numpy(), "cost": chunk["cost"].to_numpy(dtype=np.float64)}
        [refined] = refinery([chunk])
        names = ["qid", "prompt", "domain", "model", "quality", *(["propensity"] if "propensity" in refined else [])]
        part = refined[names].assign(**kept)
        same = {name: [known.setdefault(text, text) for text in part[name].astype(object)] for name in TEXTS}
        parts.append(part.assign(**same))
    frame = pd.concat(parts, ignore_index=True)
    _require_scores(frame["quality"], path)
    if propensities == "overall":
        frame["domain"] = "all"
    chance = pd.to_numeric(frame["propensity"], errors="coerce").to_numpy(float) if "propensity" in frame else None
    logged = chance is not None and bool(np.isfinite(chance).all()) and propensities in ("auto", "logged")
    if propensities == "logged" and not logged:
        raise UserError(
            f"--propensities logged: {path} does not say of every request how likely its call was (column propensity); "
            "by_domain estimates it"
        )
    domain, domains = pd.factorize(frame["domain"].astype(str))
    model, models = pd.factorize(frame["model"].astype(str), sort=True)
    quality = frame["quality"].to_numpy(dtype=np.float64)
    if logged:
        assert chance is not None
        bad = np.flatnonzero(~((chance > 0) & (chance <= 1)))
        if len(bad):
            first = frame["request"].iloc[bad[0]]
            raise UserError(
                f"{path}: the propensity of request {first!r} is {chance[bad[0]]:g}, expected above 0, up to 1"
            )
        propensity = chance
    else:
        propensity = _shares(domain, model, np.isfinite(quality), len(models))
    ids = {name: frame[name].astype(object).to_numpy() for name in ("request", "qid", "prompt")}
    return OneArmLog(
        **ids,
        domain=domain,
        model=model,
        quality=quality,
        cost_usd=frame["cost"].to_numpy(dtype=np.float64),
        propensity=propensity,
        logged=logged,
        domains=tuple(map(str, domains)),
        models=tuple(map(str, models)),
    )


def calls_by_domain(log: OneArmLog) -> Ints:
    """Return how many rated calls each model had in each domain: (n_domain, n_model)."""
    return _count(log.domain, log.model, log.rated, (len(log.domains), len(log.models)))


def _shares(domain: Ints, model: Ints, rated: Bools, n_model: int) -> Floats:
    """Return each call's share of its domain's requests, calls with a score alone; 1 where it has none: not used."""
    count = _count(domain, model, rated, (int(domain.max()) + 1, n_model))
    size = np.bincount(domain)
    return np.where(rated, count[domain, model] / size[domain], 1.0)


def _count(domain: Ints, model: Ints, rated: Bools, shape: tuple[int, int]) -> Ints:
    cell = domain[rated] * shape[1] + model[rated]
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)


def _require_scores(quality: pd.Series, path: str) -> None:
    known = quality.dropna()
    if known.empty:
        raise UserError(f"{path}: no request has a score; give them with --scores FILE (request_id, score)")
    bad = known[(known < 0) | (known > 1)]
    if len(bad):
        raise UserError(
            f"{path}: scores must lie in [0, 1]; {len(bad)} do not, first {bad.iloc[0]:g}; rescale with "
            "--quality_range LOW,HIGH, or clip"
        )
