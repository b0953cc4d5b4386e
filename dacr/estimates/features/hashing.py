"""MurmurHash3, 32 bits, of many texts at once.

Reference: Appleby, MurmurHash3_x86_32, with seed 0; scikit-learn's feature hashing has the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_U = np.uint32


def murmur3(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return the hash of each text's UTF-8 bytes, ``(n,)``."""
    data = [text.encode("utf-8", "surrogatepass") for text in texts]
    size = np.fromiter(map(len, data), np.int64, len(data))
    whole, held = size // 4, (size + 3) // 4  # blocks of four bytes: full ones, and with the last one
    start = np.cumsum(held) - held
    padded = b"".join(one.ljust(-(-len(one) // 4) * 4, b"\0") for one in data)
    block = np.frombuffer(padded, "<u4").astype(_U)
    h = np.zeros(len(data), _U)
    longest_first = np.argsort(-whole, kind="stable")
    blocks = np.arange(whole.max(initial=0))
    for i, n in zip(blocks, np.searchsorted(-whole[longest_first], -blocks, side="left"), strict=True):
        at = longest_first[:n]
        h[at] = _rotated(h[at] ^ _mixed(block[start[at] + i]), 13) * _U(5) + _U(0xE6546B64)
    rest = np.flatnonzero(size % 4)
    h[rest] ^= _mixed(block[start[rest] + whole[rest]])
    h ^= size.astype(_U)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = (h ^ (h >> _U(shift))) * _U(factor)
    return h


def _mixed(block: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return _rotated(block * _U(0xCC9E2D51), 15) * _U(0x1B873593)


def _rotated(value: NDArray[np.uint32], by: int) -> NDArray[np.uint32]:
    return (value << _U(by)) | (value >> _U(32 - by))
