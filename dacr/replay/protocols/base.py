"""The Protocol contract. A new protocol is one registered class that gives an order, effects, or both."""

import difflib
import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dacr.core.errors import UserError
from dacr.core.values import Checked
from dacr.replay.protocols.effects import Effects
from dacr.types import Floats, Ints


class Protocol(Checked):
    """Base of all protocols: by default it changes nothing.

    A protocol with arguments is a frozen dataclass of keywords; they are what ``--protocol name:argument=value`` sets.

    Class attributes
    ----------------
    reorders : bool
        Whether :meth:`order` gives an order; at most one of several combined protocols may.
    """

    where: ClassVar[str] = "--protocol: "
    name: ClassVar[str] = ""
    reorders: ClassVar[bool] = False

    @property
    def params(self) -> dict[str, Any]:
        """Constructor arguments by name: they name the protocol in the results."""
        kinds = inspect.signature(type(self)).parameters.values()
        return {kind.name: getattr(self, kind.name) for kind in kinds if kind.kind is kind.KEYWORD_ONLY}

    def __str__(self) -> str:
        settings = ",".join(f"{name}={_text(value)}" for name, value in self.params.items() if value != "")
        return f"{self.name}:{settings}" if settings else self.name

    def order(self, domain: Sequence[str], seed: int, gain: Floats | None = None) -> Ints | None:
        """Return which request comes at each position of the stream, or None to leave the order as it is.

        Parameters
        ----------
        domain : n names
            Domain of each request.
        seed : int
            Names the stream order.
        gain : (n,) float, optional
            How much a request gains from spending; for orders that an adversary chooses with the truth at hand.

        Returns
        -------
        (n,) int permutation, or None
        """
        return None

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Return what happens to outcomes and feedback at each of the ``n`` positions of the stream."""
        return Effects()


def index_of(model: str, models: Sequence[str], protocol: str) -> int:
    """Return the index of a model by name, or raise :class:`UserError` with the nearest one."""
    if model in models:
        return list(models).index(model)
    near = difflib.get_close_matches(model, list(models), n=1, cutoff=0.0)
    raise UserError(
        f"--protocol {protocol}: no model is called {model!r}; the nearest is {near[0]!r} of {', '.join(models)}"
    )


def require(good: bool, protocol: str, name: str, got: object, expected: str) -> None:
    """Raise :class:`UserError` about a protocol's argument unless it is good."""
    if not good:
        raise UserError(f"--protocol {protocol}:{name}={got}: expected {expected}")


def from_position(n: int, at: float) -> Ints:
    """Return the positions from the share ``at`` of the stream on."""
    return np.arange(int(np.ceil(at * n)), n)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
