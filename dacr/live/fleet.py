"""The models that can be called in one run, with their clients, and the chain that a file puts them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.money import bill
from dacr.core.values import Above0, made_of
from dacr.data.prices import Price
from dacr.live.call import CallResult, call
from dacr.live.catalogue import Catalogue, CatalogueEntry
from dacr.live.endpoint import LIMIT_FIELDS, Endpoint, NoKeyError, checked_base_url, resolve
from dacr.live.schedule import most_usd
from dacr.live.telemetry import CooldownRule
from dacr.routers.rules.engine import RuleEngine


@dataclass(frozen=True)
class Link:
    """One model of a chain.

    Attributes
    ----------
    timeout_s : float
        Most seconds of one attempt, and what is reported: not a second more is allowed.
    extra : mapping
        Further request fields.
    context_fallback : tuple of str
        Models to try next when the prompt is too long for this one.
    """

    name: str
    timeout_s: Above0 = 30.0
    api_base: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    context_fallback: tuple[str, ...] = ()


@dataclass
class Fleet:
    """Calls models by name. Clients are opened when first needed and closed with :meth:`aclose`.

    Attributes
    ----------
    targets : mapping
        What can be called, by the name of its link.
    left_out : mapping
        Why others can't be called, in the user's words: a server's key is missing.
    """

    targets: dict[str, tuple[CatalogueEntry, Endpoint]]
    left_out: dict[str, str] = field(default_factory=dict)
    _clients: dict[Endpoint, AsyncOpenAI] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        links: Sequence[Link],
        base_url: str | None = None,
        api_key_env: str | None = None,
        allow_insecure: bool = False,
    ) -> Fleet:
        """Find each link's model in the catalogue and its endpoint; ``base_url`` wins over a link's own.

        Raises
        ------
        UserError
            A model that nobody knows, an address that calls may not go to, or no model whose key is there.
        """
        fleet = cls({})
        for link in links:
            url = base_url or link.api_base
            entry = catalogue.get(link.name, allow_unlisted=bool(url))
            try:
                fleet.targets[link.name] = (entry, resolve(catalogue, entry, url, api_key_env, allow_insecure))
            except NoKeyError as error:
                fleet.left_out[link.name] = str(error)
        if not fleet.targets:
            raise UserError("; ".join(dict.fromkeys(fleet.left_out.values())))
        return fleet

    async def ask(
        self,
        link: Link,
        messages: Sequence[Mapping[str, Any]],
        extra: Mapping[str, Any],
        stream: bool = False,
        request_id: str | None = None,
    ) -> CallResult:
        """Call a link's model once, within its timeout; see :func:`~dacr.live.call.call`."""
        entry, endpoint = self.targets[link.name]
        if endpoint not in self._clients:
            self._clients[endpoint] = endpoint.client()
        fields = dict(extra)
        limits = [fields.pop(name, None) for name in LIMIT_FIELDS]
        limit = next((value for value in limits if value is not None), None)
        return await call(
            self._clients[endpoint],
            endpoint,
            entry.api_name,
            messages,
            timeout_s=link.timeout_s,
            max_output_tokens=limit,
            stream=stream,
            extra=fields,
            request_id=request_id,
        )

    def most(self, link: Link, prompt: str, extra: Mapping[str, Any]) -> int:
        """Return the most that a call can cost in nano-dollars; 0 where price or length of the answer have no bound."""
        entry, _ = self.targets.get(link.name, (None, None))
        fields = {**extra, **link.extra}
        longest = max((fields[name] for name in LIMIT_FIELDS if fields.get(name) is not None), default=None)
        if entry is None or entry.price is None or longest is None:
            return 0
        return bill(most_usd(entry.price, prompt, longest))

    def price(self, link: Link, result: CallResult, most: int) -> tuple[float | None, int]:
        """Return the cost of a call in USD, None where it is not known, and the nano-dollars that are booked for it."""
        entry, _ = self.targets[link.name]
        if entry.is_free or not (result.ok or result.maybe_billed):
            return 0.0, 0
        if entry.price is None or not result.ok or result.tokens_estimated:
            return None, most
        cost = float(entry.price.cost(result.input_tokens, result.output_tokens))
        return cost, bill(cost)

    async def aclose(self) -> None:
        """Close every client and so release its connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()


def load_chain(path: str | Path) -> tuple[list[Link], CooldownRule | None]:
    """Read ``configs/chain.yaml``: the links in order, and the cooldown rule if there is one.

    Raises
    ------
    UserError
        Not YAML, no ``chain``, an entry without a name, an unknown key, a timeout that is not above 0.
    """
    path = Path(path)
    content = files.read_yaml(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("chain"), list) or not content["chain"]:
        raise UserError(f"{path} has no 'chain:' list; expected chain: [{{name: ..., timeout_s: 8}}, ...]")
    links = [made_of(Link, item, f"{path}, entry {number}") for number, item in enumerate(content["chain"], start=1)]
    names = [link.name for link in links]
    if len(set(names)) < len(names):
        raise UserError(f"{path}: a model stands twice in the chain {names}; keep it once")
    for link in links:
        if link.api_base:
            checked_base_url(
                link.api_base, allow_insecure=True, source="api_base"
            )  # the flag decides when calls are made
        for name in link.context_fallback:
            if name not in names:
                raise UserError(f"{path}: context_fallback {name!r} of {link.name!r} is not in the chain {names}")
    cooldown = content.get("cooldown")
    return links, made_of(CooldownRule, cooldown, f"{path}: cooldown") if cooldown else None


def rule_links(engine: RuleEngine, catalogue: Catalogue) -> tuple[list[Link], Catalogue]:
    """Return the rules' models as links, and a catalogue that has them under their specs.

    A spec is ``provider:model``; the rule's price per thousand tokens holds for input and output alike
    unless the catalogue knows the model.
    """
    models: dict[str, CatalogueEntry] = dict(catalogue.models)
    for option in engine.options:
        provider, _, model = option.spec.partition(":")
        per_million = 1000 * option.cost_per_1k_tokens
        price = Price(per_million, per_million, per_million)
        models[option.spec] = CatalogueEntry(option.spec, model or provider, provider, price)
    links = [Link(option.spec, max(engine.policy.max_latency_per_call_s, 0.001)) for option in engine.options]
    return links, replace(catalogue, models=models)
