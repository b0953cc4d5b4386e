"""An LLM as a policy: any OpenAI-compatible endpoint, one growing conversation per episode.

Whatever goes wrong (a timeout, an HTTP error, an answer that names no action) sheds that one step, says why
in the answer's ``error``, and ends no episode. The API key is in no message, line or file.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, Self

import numpy as np

from dacr.core.errors import UserError
from dacr.core.values import Above0, Whole, made_of
from dacr.envs.game import Game, Moved, Note, Policy
from dacr.envs.policies.llm_prompt import Last, Reading, message, parse, reading, rules
from dacr.envs.scenarios import Brief
from dacr.live.call import RETRYABLE, CallResult
from dacr.live.catalogue import Catalogue, CatalogueEntry
from dacr.live.endpoint import Endpoint, NoKeyError, resolve
from dacr.live.fleet import Fleet, Link
from dacr.types import Bools, Ints

_MAX_TOKENS = 30
_SHOWN = 60


@dataclass(frozen=True)
class _Variables:
    """The environment variables that name an LLM and how it is asked."""

    API_BASE_URL: str = ""
    MODEL_NAME: str = ""
    LLM_POLICY_MODE: Literal["baseline", "objective_feedback"] = "baseline"
    LLM_TIMEOUT_SECONDS: Above0 = 25.0
    LLM_MAX_RETRIES: Whole = 1


@dataclass(frozen=True)
class Settings:
    """Where the LLM is and how it is asked.

    Attributes
    ----------
    mode : {"baseline", "objective_feedback"}
        The second one also tells the objective, a strategy by phase, and what the last step gave.
    timeout_s : float
        For one try as a whole.
    max_retries : int
        Further tries after a timeout, a broken connection, a rate limit or a server error.
    """

    endpoint: Endpoint
    model: str
    mode: str = "baseline"
    timeout_s: float = 25.0
    max_retries: int = 1

    @classmethod
    def from_environment(cls, mode: str | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """Read API_KEY or HF_TOKEN, API_BASE_URL, MODEL_NAME, LLM_TIMEOUT_SECONDS, LLM_MAX_RETRIES, LLM_POLICY_MODE.

        Raises
        ------
        UserError
            A variable is missing or not what it should be. The key itself is never quoted.
        """
        env = os.environ if environ is None else environ
        given = {one.name: env.get(one.name, "").strip() or None for one in fields(_Variables)}
        told = made_of(_Variables, given | ({"LLM_POLICY_MODE": mode} if mode else {}), "environment variables")
        if not told.API_BASE_URL or not told.MODEL_NAME:
            raise UserError(
                "--policy llm needs the environment variables API_BASE_URL (such as http://localhost:11434/v1) and "
                "MODEL_NAME, and API_KEY or HF_TOKEN where the server wants a key"
            )
        model = CatalogueEntry(told.MODEL_NAME, told.MODEL_NAME)
        variable = "API_KEY" if env.get("API_KEY") else "HF_TOKEN"
        try:
            endpoint = resolve(Catalogue({}), model, told.API_BASE_URL, variable, environ=env)
        except NoKeyError:
            raise UserError("no API key: set the environment variable API_KEY or HF_TOKEN") from None
        asked = (told.LLM_POLICY_MODE, told.LLM_TIMEOUT_SECONDS, told.LLM_MAX_RETRIES)
        return cls(endpoint, told.MODEL_NAME, *asked)


class LLMPolicy(Policy):
    """Ask an LLM for each step; see the module."""

    name = "llm"

    def __init__(self, brief: Brief, settings: Settings) -> None:
        self.brief = brief
        self.settings = settings
        self.model = settings.model
        self._runner = asyncio.Runner()
        entry = CatalogueEntry(settings.model, settings.model)
        self._link, self._fleet = (
            Link(settings.model, settings.timeout_s),
            Fleet({settings.model: (entry, settings.endpoint)}),
        )

    def reset(self, game: Game, seed: int) -> None:
        """Begin a new conversation."""
        told = self.settings.mode == "objective_feedback"
        self._messages: list[dict[str, str]] = [{"role": "system", "content": rules(self.brief, told)}]
        self._history: list[Reading] = []
        self._last: Last | None = None

    def act(self, game: Game) -> Ints:
        """Ask, parse, and guard the money."""
        self._history.append(reading(self.brief, tuple(game.observation[0])))
        self._messages.append({"role": "user", "content": message(self.brief, self._history, self._last)})
        action, self.note = self._ask()
        # The conversation goes on with what was answered, or with what was done for want of an answer.
        said = self.note.raw if self.note.raw else self.brief.actions[action]
        self._messages.append({"role": "assistant", "content": said})
        return np.array([self._guarded(action)])

    def learn(self, action: Ints, moved: Moved, going: Bools) -> None:
        """Keep what the step gave, for the next message."""
        if self.settings.mode == "objective_feedback":
            seen = (float(value[0]) for value in (moved.quality, moved.cost, moved.latency, moved.reward))
            self._last = Last(int(action[0]), *seen)

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._fleet.aclose())
        self._runner.close()

    def _ask(self) -> tuple[int, Note]:
        shed = self.brief.shed
        try:
            result = self._runner.run(self._call())
        except Exception as error:
            told = self.settings.endpoint.redact(str(error))[:_SHOWN]
            return shed, Note(f"{type(error).__name__}: {told}")
        if not result.ok:
            return shed, Note(f"{result.error}: {result.message}"[:200])
        action = parse(self.brief, result.text)
        if action is None:
            shown = self.settings.endpoint.redact(result.text)[:_SHOWN]
            return shed, Note(f"no single action in the answer {shown!r}", result.text)
        return action, Note(None, result.text)

    async def _call(self) -> CallResult:
        fields = {"temperature": 0.0, "max_tokens": _MAX_TOKENS}
        for tries_left in range(self.settings.max_retries, -1, -1):
            result = await self._fleet.ask(self._link, self._messages, fields)
            if result.error not in RETRYABLE or not tries_left:
                break
        return result

    def _guarded(self, action: int) -> int:
        """Shed a call whose price would take the last of the money."""
        left = self._history[-1].left_usd
        if action == self.brief.shed or self.brief.providers[action].cost_usd < left - 1e-9:
            return action
        provider = self.brief.providers[action]
        reason = f"guard: {provider.name} costs {provider.cost_usd:.2f} USD, {left:.2f} left"
        self.note = Note(reason, self.note.raw)
        return self.brief.shed
