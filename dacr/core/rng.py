"""All randomness of the project: generators seeded by name, and draws keyed by request.

Two kinds are needed. A *generator* serves code that draws once, in a fixed order (a shuffle, Poisson
gaps). A *keyed draw* belongs to one request whatever the order, batch or number of workers in which
requests are handled: tie breaks, random routers and Thompson samples use it, so that scoring a whole
stream at once equals scoring it one by one.

Neither Python's ``hash()`` (salted per process) nor numpy's global generator is ever used.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core.compiled import formula

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def seed_for(*parts: object) -> int:
    """Turn named parts into a 64-bit seed: the first 8 bytes of SHA-256 over their ``repr``.

    Examples
    --------
    >>> seed_for("shuffle", 1) == seed_for("shuffle", 1)
    True
    >>> seed_for("shuffle", 1) == seed_for("shuffle", 2)
    False
    """
    text = "\x1f".join(repr(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def generator(*parts: object) -> np.random.Generator:
    """Return a numpy generator whose stream is named by ``parts``."""
    return np.random.default_rng(seed_for(*parts))


def keys_of(names: Iterable[str]) -> NDArray[np.uint64]:
    """Return one 64-bit key per name (query ids, mostly): 8 bytes of BLAKE2b. Shape ``(n,)``."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def mixed(state: Any) -> Any:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014): a bijection that scatters every bit."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def keyed_uniform(keys: NDArray[np.uint64], n_draws: int, seed: int | NDArray[np.uint64]) -> NDArray[np.float64]:
    """Draw ``n_draws`` uniforms in (0, 1) for each key; the same key and seed give the same draws.

    Parameters
    ----------
    keys : (n,) uint64
        From :func:`keys_of`.
    seed : int or (n,) uint64
        From :func:`seed_for`; an array gives each row a seed of its own (parallel runs).

    Returns
    -------
    (n, n_draws) float, strictly inside (0, 1), so that a normal quantile of it is finite.
    """
    with np.errstate(over="ignore"):
        own = np.asarray(seed, dtype=np.uint64)
        key = np.asarray(keys, dtype=np.uint64)[:, None]
        return _uniform(key, own[:, None] if own.ndim else own, np.arange(1, n_draws + 1, dtype=np.uint64))


def _uniform(key: Any, seed: Any, number: Any) -> Any:
    bits = mixed(mixed(key ^ mixed(seed + _GOLDEN)) + number * _GOLDEN)
    return ((bits >> np.uint64(11)) * 1.0 + 0.5) * 2.0**-53


draw_of = formula(_uniform)
"""(key, seed, k), all uint64 -> the k-th of the draws of :func:`keyed_uniform`, from 1, in kernels."""


def keyed_normal(keys: NDArray[np.uint64], n_draws: int, seed: int | NDArray[np.uint64]) -> NDArray[np.float64]:
    """Like :func:`keyed_uniform`, standard normal by the quantile transform. Shape ``(n, n_draws)``."""
    from scipy.special import ndtri  # here: it takes a quarter of a second, and nearly everybody imports this file

    return ndtri(keyed_uniform(keys, n_draws, seed))
