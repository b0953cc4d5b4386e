"""Several protocols at once, and how they are written: ``drift,degrade:model=gpt-4-1106-preview,factor=0.6``."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from dacr.core.errors import UserError
from dacr.core.registry import protocols
from dacr.core.values import made_of
from dacr.replay.protocols.base import Protocol
from dacr.replay.protocols.effects import Effects
from dacr.types import Floats, Ints


@dataclass(frozen=True)
class Combined:
    """Protocols that act together; none of them is the ordinary stream."""

    parts: tuple[Protocol, ...] = ()

    def __post_init__(self) -> None:
        orders = [part.name for part in self.parts if part.reorders]
        if len(orders) > 1:
            raise UserError(f"--protocol: {' and '.join(orders)} each want an order of their own; give one of them")

    def __str__(self) -> str:
        return ",".join(str(part) for part in self.parts)

    def order(self, domain: Sequence[str], seed: int, gain: Floats | None = None) -> Ints | None:
        """Return the order of the one part that has one, else None (see :meth:`Protocol.order`)."""
        mine = next((part for part in self.parts if part.reorders), None)
        return None if mine is None else mine.order(domain, seed, gain)

    def effects(self, n: int, models: Sequence[str], seed: int) -> Effects:
        """Return the effects of all parts at once, checked."""
        made = [part.effects(n, models, seed) for part in self.parts]
        effects = reduce(Effects.and_, made, Effects())
        if effects.available is not None and not effects.available.any(axis=1).all():
            t = int(np.flatnonzero(~effects.available.any(axis=1))[0])
            raise UserError(f"--protocol {self}: no model can be called at position {t}; let fewer join late")
        return effects


def parse(text: str) -> Combined:
    """Read protocols and their arguments: ``name[:argument=value,...]``, several separated by commas.

    Examples
    --------
    >>> str(parse("drift,degrade:model=gpt-4-1106-preview,factor=0.5"))
    'drift:sharpness=3,degrade:model=gpt-4-1106-preview,at=0.5,factor=0.5'
    >>> parse("").parts
    ()
    """
    written: list[tuple[str, dict[str, str]]] = []
    for piece in (one.strip() for one in text.split(",")):
        if not piece:
            continue
        head, colon, rest = piece.partition(":")
        if "=" in head:  # An argument of the protocol before it: names of protocols hold no "=".
            head, colon, rest = "", "", piece
        if head:
            written.append((head, {}))
        if not written:
            raise UserError(f"--protocol {text!r} begins with an argument; write the protocol first: name:{piece}")
        if rest:
            name, equals, value = rest.partition("=")
            if not equals:
                raise UserError(f"--protocol {text!r}: {rest!r} is no argument; write name=value")
            written[-1][1][name.strip()] = value.strip()
        elif colon:
            raise UserError(f"--protocol {text!r}: nothing follows {head}:; write argument=value or leave the colon")
    return Combined(tuple(made_of(protocols.get(name), values, f"--protocol {name}") for name, values in written))
