"""The latency model: time to first token + output tokens / speed, noise, load.

Profiles are fitted to measured requests (:mod:`dacr.workload.latency_fit`); a model's price plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.rng import keyed_normal, keys_of, seed_for
from dacr.core.values import Above0, made_of
from dacr.types import Floats

DEFAULT_CONFIG = files.CONFIGS / "latency.yaml"


@dataclass(frozen=True)
class Profile:
    """How fast a kind of model answers: ``ttft_s`` to the first token, then ``tokens_per_s``."""

    name: str
    ttft_s: Above0
    tokens_per_s: Above0


@dataclass(frozen=True)
class LatencyModel:
    """Latency of a call by model name.

    Attributes
    ----------
    profiles : dict of str to Profile
    models : dict of str to str
        Which profile serves a model.
    default : str
        The profile of every model that ``models`` does not name.
    """

    profiles: Mapping[str, Profile]
    models: Mapping[str, str]
    default: str

    @classmethod
    def from_yaml(cls, path: str | Path = DEFAULT_CONFIG) -> LatencyModel:
        """Read ``configs/latency.yaml``: ``default``, ``profiles`` and ``models`` (name: profile)."""
        return cls.from_config(files.read_yaml(path, made_by="python scripts/fit_latency.py"), str(path))

    @classmethod
    def from_config(cls, config: Any, source: str) -> Self:
        """Build from the content of ``configs/latency.yaml``."""
        if not isinstance(config, dict) or not isinstance(config.get("profiles"), dict):
            raise UserError(f"{source}: expected the keys default, profiles and models; see configs/latency.yaml")
        profiles = {}
        for name, entry in config["profiles"].items():
            speed = {key: (entry or {}).get(key) for key in ("ttft_s", "tokens_per_s")}
            profiles[str(name)] = made_of(Profile, {"name": str(name), **speed}, f"{source}: profile {name!r}")
        models = {str(name): str(profile) for name, profile in (config.get("models") or {}).items()}
        default = str(config.get("default"))
        for user, profile in [("default", default), *models.items()]:
            if profile not in profiles:
                raise UserError(f"{source}: {user!r} uses profile {profile!r}; known: {', '.join(sorted(profiles))}")
        return cls(profiles, models, default)

    def profile_of(self, model: str) -> Profile:
        """Return the profile of a model; the default one if the model is unknown."""
        return self.profiles[self.models.get(model, self.default)]

    def unknown(self, models: Sequence[str]) -> list[str]:
        """Return those of ``models`` that the default profile serves because nothing else is known."""
        return [name for name in models if name not in self.models]

    def typical(self, models: Sequence[str], output_tokens: Floats) -> Floats:
        """Return latency without noise and load, seconds: TTFT + tokens / speed.

        Parameters
        ----------
        output_tokens : (n, n_model) float
        """
        served = [self.profile_of(name) for name in models]
        first = np.array([profile.ttft_s for profile in served])
        speed = np.array([profile.tokens_per_s for profile in served])
        return first[None, :] + np.asarray(output_tokens, dtype=float) / speed[None, :]

    def latencies(
        self,
        qid: Sequence[str],
        models: Sequence[str],
        output_tokens: Floats,
        lat_mult: Floats,
        noise_cv: float,
        seed: int,
    ) -> Floats:
        r"""Return the latency of every call.

        .. math:: \ell_{im} = \Bigl(\mathrm{TTFT}_m + \frac{\mathrm{tokens}_{im}}{\mathrm{speed}_m}\Bigr)
                  \, e^{\sigma z_{im} - \sigma^2 / 2} \, \mathrm{mult}_i,
                  \qquad \sigma^2 = \log(1 + \mathrm{CV}^2)

        The noise is lognormal with mean 1. It belongs to (query, model, seed): neither the order nor the
        choice of rows or models changes it.

        Parameters
        ----------
        qid : (n,) str
        models : (n_model,) str
        output_tokens : (n, n_model) float
        lat_mult : (n,) float, at least 1; ones for the base latency
        noise_cv : float, at least 0

        Returns
        -------
        (n, n_model) float, seconds
        """
        factor = np.asarray(lat_mult, dtype=float)[:, None]
        return self.typical(models, output_tokens) * noise(qid, models, noise_cv, seed) * factor


def noise(qid: Sequence[str], models: Sequence[str], cv: float, seed: int) -> Floats:
    """Draw lognormal factors with mean 1 and the given coefficient of variation, ``(n, n_model)``.

    Examples
    --------
    >>> one = noise(["a", "b"], ["x", "y"], 0.1, seed=1)
    >>> bool((noise(["b"], ["y"], 0.1, seed=1) == one[1:, 1:]).all())
    True
    """
    sigma = np.sqrt(np.log1p(cv**2))
    keys = keys_of(qid)
    drawn = [keyed_normal(keys, 1, seed_for("latency noise", model, seed)) for model in models]
    if not drawn:
        return np.ones((len(keys), 0))
    return np.exp(sigma * np.hstack(drawn) - sigma**2 / 2)
