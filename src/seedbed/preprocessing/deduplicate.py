"""Exact deduplication by a 16-byte digest of the text."""

import hashlib
from array import array

from seedbed.config import Strict

_EMPTY = 0


class DigestSet:
    """A set of 128-bit digests in two flat arrays: 21 to 43 bytes per digest (twice that for the
    moment in which it grows), where Python's own set of bytes takes about 90.
    """

    def __init__(self, capacity: int = 1 << 12) -> None:
        assert capacity & (capacity - 1) == 0, "a power of two, for the mask"
        self._allocate(capacity)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, digest: bytes) -> bool:
        """Add a digest of 16 bytes; False when it was there already."""
        # The lowest bit is spent to tell a digest from an empty place.
        low = int.from_bytes(digest[:8], "little") | 1
        high = int.from_bytes(digest[8:16], "little")
        place = self._find(low, high)
        if self._low[place] != _EMPTY:
            return False
        self._low[place], self._high[place] = low, high
        self._count += 1
        if self._count * 4 > len(self._low) * 3:
            self._grow()
        return True

    def _allocate(self, capacity: int) -> None:
        self._low = array("Q", bytes(8 * capacity))
        self._high = array("Q", bytes(8 * capacity))

    def _find(self, low: int, high: int) -> int:
        """The place of a digest, or the empty place where it belongs (linear probing)."""
        mask = len(self._low) - 1
        place = high & mask
        while self._low[place] != _EMPTY and (self._low[place] != low or self._high[place] != high):
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        low, high = self._low, self._high
        self._allocate(2 * len(low))
        for one, other in zip(low, high, strict=True):
            if one != _EMPTY:
                place = self._find(one, other)
                self._low[place], self._high[place] = one, other


class Deduplication(Strict):
    """The first of equal texts stays. Memory grows by a few dozen bytes per document, never with text."""

    exact: bool = True


def text_digest(text: str) -> bytes:
    """16 bytes of BLAKE2b of the UTF-8 text; two of 10^12 texts share one with probability 10^-15."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()
