"""Orders of the stream that are not random: sorted, blocky, adversarial, drifting."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dacr.core.registry import protocols
from dacr.core.rng import generator
from dacr.core.values import AtLeast1, FactorFrom1
from dacr.replay.protocols.base import Protocol
from dacr.types import Floats, Ints


def _codes(domain: Sequence[str]) -> tuple[Ints, Ints]:
    """Return each request's domain code, and the size of each domain."""
    _, code, size = np.unique(np.asarray(domain, dtype=object).astype(str), return_inverse=True, return_counts=True)
    return code.astype(np.int64), size.astype(np.int64)


@protocols.register("sorted")
class Sorted(Protocol):
    """One domain after the other, in an order drawn by the seed; random within a domain."""

    reorders = True

    def order(self, domain: Sequence[str], seed: int, gain: Floats | None = None) -> Ints | None:
        """Sort by the domain's place; the seed draws the places and the order within."""
        code, size = _codes(domain)
        rng = generator("protocol", "sorted", seed)
        place = rng.permutation(len(size))
        return np.lexsort((rng.random(len(code)), place[code]))


@protocols.register("blocky")
@dataclass(frozen=True, kw_only=True)
class Blocky(Protocol):
    """Bursts: blocks of one domain each, the blocks in random order.

    Parameters
    ----------
    size : int
        Requests in a block; a domain's last block may be shorter.
    """

    reorders: ClassVar[bool] = True

    size: AtLeast1 = 50

    def order(self, domain: Sequence[str], seed: int, gain: Floats | None = None) -> Ints | None:
        """Number the blocks of every domain, then shuffle the blocks."""
        code, size = _codes(domain)
        rng = generator("protocol", "blocky", seed)
        within = np.lexsort((rng.random(len(code)), code))
        rank = np.empty(len(code), dtype=np.int64)
        rank[within] = np.arange(len(code)) - np.repeat(np.cumsum(size) - size, size)
        block = code * (len(code) // self.size + 1) + rank // self.size
        _, block = np.unique(block, return_inverse=True)
        place = rng.permutation(int(block.max()) + 1)
        return np.lexsort((rank, place[block]))


@protocols.register("adversarial")
class Adversarial(Protocol):
    """What is seen first misleads: requests that gain least from money first, those that gain most last.

    A pacer finds money useless, and learns late that it was not. Without gains, the largest domain comes first
    and the smallest last: what was learnt from most of the stream does not hold at its end.
    """

    reorders = True

    def order(self, domain: Sequence[str], seed: int, gain: Floats | None = None) -> Ints | None:
        """Sort by gain, or by falling size of the domain; ties in random order."""
        code, size = _codes(domain)
        draw = generator("protocol", "adversarial", seed).random(len(code))
        if gain is not None:
            return np.lexsort((draw, gain))
        return np.lexsort((draw, code, -size[code]))


@protocols.register("drift")
@dataclass(frozen=True, kw_only=True)
class Drift(Protocol):
    """The mix of domains turns over: half of the domains fade out while the others fade in.

    A request's moment is drawn with density k (1 - x)^(k-1) where its domain fades out, k x^(k-1) where it fades
    in. With a single domain there is no mix that could turn over, and the order is random.

    Parameters
    ----------
    sharpness : float
        k: 1 is no drift, 2 a mix that changes linearly, large values come close to a switch.
    """

    reorders: ClassVar[bool] = True

    sharpness: FactorFrom1 = 3.0

    def order(self, domain: Sequence[str], seed: int, gain: Floats | None = None) -> Ints | None:
        """Draw a moment for every request and sort by it."""
        code, size = _codes(domain)
        rng = generator("protocol", "drift", seed)
        fades_in = rng.permutation(len(size)) >= (len(size) + 1) // 2
        draw = rng.random(len(code))
        moment = np.where(fades_in[code], draw ** (1 / self.sharpness), 1 - (1 - draw) ** (1 / self.sharpness))
        return np.argsort(moment, kind="stable")
