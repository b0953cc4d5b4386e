"""Where calls go: which addresses are allowed, where the key comes from, and that it is never shown."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from dacr.core.errors import UserError
from dacr.live.catalogue import DEFAULT_PROVIDERS, Catalogue, CatalogueEntry

LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")
"""Names of the request field that limits the answer's length: servers know one or both."""

_KEY_SHAPED = re.compile(r"\b(sk|pk|rk|hf|gsk)[-_][A-Za-z0-9*_\-]{6,}")


class NoKeyError(UserError):
    """The variable with a server's key is empty: other servers may be called all the same."""


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server.

    Attributes
    ----------
    base_url : str
        With its path, such as ``https://api.openai.com/v1``.
    api_key : str
        Left out of the ``repr``: an endpoint may be printed.
    output_limit_field : str
        Name of the request field that limits the answer's length.
    refused : set of str
        Request fields that this server turned out not to know.
    """

    base_url: str
    api_key: str = field(repr=False)
    output_limit_field: str = "max_tokens"
    refused: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def limit_field(self) -> str:
        """The field that limits the answer's length, as far as is known by now."""
        others = (name for name in LIMIT_FIELDS if name not in self.refused)
        return self.output_limit_field if self.output_limit_field not in self.refused else next(others, "max_tokens")

    def client(self) -> AsyncOpenAI:
        """Return a client that never retries or follows redirects by itself.

        Retries inside the SDK would be counted as latency; a redirect could lead to an address that
        was never checked. On loopback the proxy variables of the environment are ignored.
        """
        http = DefaultAsyncHttpxClient(follow_redirects=False, trust_env=not is_loopback(self.base_url))
        return AsyncOpenAI(base_url=self.base_url, api_key=self.api_key, max_retries=0, http_client=http)

    def redact(self, text: str) -> str:
        """Return ``text`` without the key and without anything that looks like one.

        Examples
        --------
        >>> Endpoint("http://localhost/v1", "sesame").redact("bad key sesame, sk-abc***xyz")
        'bad key [key], [key]'
        """
        if self.api_key:
            text = text.replace(self.api_key, "[key]")
        return _KEY_SHAPED.sub("[key]", text)


def is_loopback(base_url: str) -> bool:
    """Say whether an address means this very machine.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:8000/v1"), is_loopback("http://localhost.example.org/v1")
    (True, False)
    """
    host = urlsplit(base_url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(base_url: str, allow_insecure: bool = False, source: str = "--base_url") -> str:
    """Return ``base_url`` if calls may go there; errors name its ``source``.

    Raises
    ------
    UserError
        Not http(s); a user name, password or query in it (secrets in addresses end up in logs); plain
        http to another machine without ``allow_insecure``.
    """
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        shown = base_url if "@" not in base_url else "one with a user name"
        raise UserError(f"{source} should look like https://api.openai.com/v1, got {shown!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(
            f"{source} for {host} holds a user name, password or query; give the address alone "
            "and the key in an environment variable"
        )
    if parts.scheme == "http" and not is_loopback(base_url) and not allow_insecure:
        raise UserError(
            f"{source} {base_url} is plain http to another machine, where the key and the prompts could be read on "
            "the way; use https, or --allow_insecure if you trust the network"
        )
    return base_url.rstrip("/")


def resolve(
    catalogue: Catalogue,
    entry: CatalogueEntry,
    base_url: str | None,
    api_key_env: str | None,
    allow_insecure: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Endpoint:
    """Return the endpoint of a model: the flag's, else its provider's; without a provider OpenAI's own.

    ``OPENAI_BASE_URL`` and ``OLLAMA_API_BASE`` move the providers ``openai`` and ``ollama``, as in other tools that
    speak to them.

    Raises
    ------
    NoKeyError
        The server is another machine, and the variable with its key is empty.
    UserError
        No address is known, or one that calls may not go to.
    """
    environ = os.environ if environ is None else environ
    provider = catalogue.provider(entry)
    own, source = provider.get("base_url"), f"base_url of provider {entry.provider!r} in {catalogue.source}"
    if entry.provider == "ollama" and environ.get("OLLAMA_API_BASE"):
        own, source = environ["OLLAMA_API_BASE"].rstrip("/").removesuffix("/v1") + "/v1", "OLLAMA_API_BASE"
    usual = DEFAULT_PROVIDERS["openai"]["base_url"]
    if entry.provider in ("", "openai") and own in (None, usual):
        own, source = environ.get("OPENAI_BASE_URL") or usual, "OPENAI_BASE_URL"
    if not base_url and not own:
        raise UserError(
            f"provider {entry.provider!r} of model {entry.name!r} has no address in {catalogue.source}; "
            "add providers: {NAME: {base_url: ..., api_key_env: ...}}, or give --base_url"
        )
    url = checked_base_url(base_url or own or "", allow_insecure, "--base_url" if base_url else source)
    # A provider's key goes to that provider alone; any other server gets the conventional variable.
    elsewhere = bool(base_url and own and urlsplit(base_url).hostname != urlsplit(own).hostname)
    variable = api_key_env or (None if elsewhere else provider.get("api_key_env")) or "OPENAI_API_KEY"
    key = environ.get(variable, "").strip()
    if not key and not is_loopback(url):
        raise NoKeyError(
            f"no API key: the environment variable {variable} is empty; set it, or name another: --api_key_env"
        )
    if not key.isascii() or any(letter.isspace() for letter in key):
        raise UserError(f"the API key in {variable} holds a space or a letter outside ASCII; copy it again")
    limit = "max_tokens" if elsewhere else provider.get("output_limit_field", "max_tokens")
    return Endpoint(url, key or "none", limit)
