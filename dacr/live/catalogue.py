"""The catalogue: which models there are, what they cost, and where they are called.

.. code-block:: yaml

    providers:                       # optional
      openai: {base_url: "https://api.openai.com/v1", api_key_env: OPENAI_API_KEY}
    models:
      gpt-4o-mini:
        provider: openai
        price_per_million_input: 0.15
        price_per_million_output: 0.60
        api_name: gpt-4o-mini        # optional: what the endpoint calls it
        aliases: [openai/gpt-4o-mini]  # optional: other names of the same model
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dacr.core import files
from dacr.core.errors import UserError
from dacr.types import ModelSpec

DEFAULT_PROVIDERS: dict[str, dict[str, str]] = {
    "openai": {
        "base_url": "https://api.openai.com/v1",
        "api_key_env": "OPENAI_API_KEY",
        "output_limit_field": "max_completion_tokens",
    },
    "openrouter": {"base_url": "https://openrouter.ai/api/v1", "api_key_env": "OPENROUTER_API_KEY"},
    "together": {"base_url": "https://api.together.xyz/v1", "api_key_env": "TOGETHER_API_KEY"},
    "anthropic": {"base_url": "https://api.anthropic.com/v1", "api_key_env": "ANTHROPIC_API_KEY"},
    "ollama": {"base_url": "http://localhost:11434/v1", "api_key_env": "OLLAMA_API_KEY"},
}


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue.

    Attributes
    ----------
    spec : ModelSpec
        Name, provider and prices in USD per million tokens.
    api_name : str
        What the endpoint calls it.
    aliases : tuple of str
        Other names under which the same model is met.
    priced : bool
        Whether the catalogue gives both prices; an unknown price is never taken as free.
    """

    spec: ModelSpec
    api_name: str
    aliases: tuple[str, ...] = ()
    priced: bool = True


@dataclass(frozen=True)
class Catalogue:
    """Models and providers by name."""

    models: dict[str, Entry]
    providers: dict[str, dict[str, str]] = field(default_factory=lambda: dict(DEFAULT_PROVIDERS))
    source: str = "the catalogue"

    def get(self, name: str, allow_unlisted: bool = False) -> Entry:
        """Return the entry called ``name`` or having it as an alias (without regard to case).

        ``provider/model`` with a known provider needs no entry: ``ollama/qwen2.5:7b``.

        Parameters
        ----------
        allow_unlisted : bool
            Return an unpriced entry for an unknown name (a local server's own models) instead of raising.
        """
        if name in self.models:
            return self.models[name]
        for entry in self.models.values():
            if name.casefold() in (alias.casefold() for alias in (entry.spec.name, *entry.aliases)):
                return entry
        provider, slash, model = name.partition("/")
        if slash and provider in self.providers:
            # What runs on one's own machine costs nothing; any other price is unknown.
            return Entry(ModelSpec(name, provider), model, priced=provider == "ollama")
        if allow_unlisted:
            return Entry(ModelSpec(name), name, priced=False)
        near = difflib.get_close_matches(name, self.models, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(self.models)[:12])};"
        raise UserError(f"model {name!r} is not in {self.source}; {hint} or add it there with its prices")

    def provider(self, entry: Entry) -> dict[str, str]:
        """Return the settings of a model's provider; empty where it names none."""
        return self.providers.get(entry.spec.provider, {})


def load(path: str | Path) -> Catalogue:
    """Read a catalogue from YAML.

    Raises
    ------
    UserError
        No such file, not YAML, no ``models``, a price that is negative or no number.
    """
    path = Path(path)
    content = files.read_yaml(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("models"), Mapping):
        raise UserError(f"{path} has no 'models:' section; expected models: {{NAME: {{provider: ..., ...}}}}")
    providers = {**DEFAULT_PROVIDERS}
    for name, settings in (content.get("providers") or {}).items():
        _require_mapping(settings, f"{path}: provider {name!r}")
        known = {key: str(value) for key, value in (settings or {}).items()}
        providers[str(name)] = {**DEFAULT_PROVIDERS.get(str(name), {}), **known}
    models = {str(name): _entry(str(name), settings, path) for name, settings in content["models"].items()}
    return Catalogue(models, providers, str(path))


def _entry(name: str, settings: Any, path: Path) -> Entry:
    _require_mapping(settings, f"{path}: model {name!r}")
    settings = settings or {}
    prices = [settings.get(f"price_per_million_{side}") for side in ("input", "output")]
    for price in prices:
        if price is None:
            continue
        if isinstance(price, bool) or not isinstance(price, (int, float)) or not 0 <= price < float("inf"):
            raise UserError(f"{path}: price of model {name!r} should be a number of at least 0, got {price!r}")
    spec = ModelSpec(name, str(settings.get("provider") or ""), float(prices[0] or 0), float(prices[1] or 0))
    aliases = settings.get("aliases") or ()
    aliases = (aliases,) if isinstance(aliases, str) else tuple(str(alias) for alias in aliases)
    return Entry(spec, str(settings.get("api_name") or name), aliases, None not in prices)


def _require_mapping(settings: Any, what: str) -> None:
    if settings is not None and not isinstance(settings, Mapping):
        raise UserError(f"{what} should be a mapping such as {{provider: openai}}, got {settings!r}")
