"""Randomness as a function of (seed, stream, index): no state to save, no order to keep.

Uniforms are Philox 4x64 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"); shuffles are
a Feistel network with cycle walking (Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
"""

import hashlib
import json

import numpy as np
import numpy.typing as npt

_WORDS = 4  # one Philox counter value gives four 64-bit words
_ROUNDS = 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def derive_seed(seed: int, *names: str | int) -> int:
    """A seed of 63 bits for one purpose, e.g. `derive_seed(seed, "dropout", step)`."""
    digest = hashlib.sha256(json.dumps([seed, *names]).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def uniform(seed: int, stream: str, first: int, count: int, width: int) -> npt.NDArray[np.float64]:
    """Uniforms in [0, 1), shape (count, width): row i depends on (seed, stream, first + i, width) alone.

    `stream` names the purpose, so that two uses of one seed are independent.
    """
    assert first >= 0 and count >= 0 and width >= 1
    blocks = -(-width // _WORDS)
    generator = np.random.Philox(key=_key(seed, stream), counter=first * blocks)
    # numpy promises the raw words of a bit generator for ever, the methods of Generator not
    words_NW = np.asarray(generator.random_raw(count * blocks * _WORDS), dtype=np.uint64)
    return _floats(words_NW.reshape(count, blocks * _WORDS)[:, :width])


def uniform_at(
    seed: int, stream: str, numbers_N: npt.NDArray[np.int64], width: int
) -> npt.NDArray[np.float64]:
    """`uniform` at any numbers: row i is the row of number `numbers_N[i]`, in whatever order they come."""
    numbers_N = np.asarray(numbers_N, dtype=np.int64)
    count = len(numbers_N)
    first = int(numbers_N[0]) if count else 0
    if np.array_equal(numbers_N, np.arange(first, first + count)):
        return uniform(seed, stream, first, count, width)
    assert width >= 1 and int(numbers_N.min()) >= 0
    blocks = -(-width // _WORDS)
    # one generator set to each counter in turn: to make one takes six times as long as to draw from it
    generator = np.random.Philox(key=_key(seed, stream))
    state = generator.state
    words_NW = np.empty((count, blocks * _WORDS), dtype=np.uint64)
    for words_W, number in zip(words_NW, numbers_N.tolist(), strict=True):
        high, low = divmod(number * blocks, 2**64)
        state["state"]["counter"][:2] = low, high
        generator.state = state
        words_W[:] = generator.random_raw(blocks * _WORDS)
    return _floats(words_NW[:, :width])


def _key(seed: int, stream: str) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps([seed, stream]).encode()).digest()[:16], "little")


def _floats(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def shuffled(presentations: npt.NDArray[np.int64], size: int, seed: int) -> npt.NDArray[np.int64]:
    """The example served at each presentation: each epoch of `size` presentations is a new permutation.

    Presentations may come in any order and number; nothing is stored, whatever the size.
    """
    assert size >= 1
    epochs_N, places_N = np.divmod(np.asarray(presentations, dtype=np.int64), size)
    assert places_N.size == 0 or int(epochs_N.min()) >= 0
    keys_N = _mix(epochs_N.astype(np.uint64) * _GOLDEN ^ np.uint64(derive_seed(seed, "shuffled")))
    bits = max(2, (size - 1).bit_length())
    served_N = _permute(places_N.astype(np.uint64), keys_N, bits)
    # The network permutes [0, 2**bits): whoever lands outside walks on along its cycle until inside.
    outside = np.flatnonzero(served_N >= size)
    while outside.size:
        served_N[outside] = _permute(served_N[outside], keys_N[outside], bits)
        outside = outside[served_N[outside] >= size]
    return served_N.astype(np.int64)


def presented(
    examples_N: npt.NDArray[np.int64], epochs_N: npt.NDArray[np.int64], size: int, seed: int
) -> npt.NDArray[np.int64]:
    """The inverse of `shuffled`: the presentation that serves each example in its epoch."""
    examples_N, epochs_N = np.asarray(examples_N, np.int64), np.asarray(epochs_N, np.int64)
    assert size >= 1 and examples_N.shape == epochs_N.shape
    assert examples_N.size == 0 or (int(examples_N.min()) >= 0 and int(examples_N.max()) < size)
    keys_N = _mix(epochs_N.astype(np.uint64) * _GOLDEN ^ np.uint64(derive_seed(seed, "shuffled")))
    bits = max(2, (size - 1).bit_length())
    places_N = _permute(examples_N.astype(np.uint64), keys_N, bits, inverse=True)
    outside = np.flatnonzero(places_N >= size)
    while outside.size:
        places_N[outside] = _permute(places_N[outside], keys_N[outside], bits, inverse=True)
        outside = outside[places_N[outside] >= size]
    return epochs_N * size + places_N.astype(np.int64)


def _permute(
    values_N: npt.NDArray[np.uint64], keys_N: npt.NDArray[np.uint64], bits: int, *, inverse: bool = False
) -> npt.NDArray[np.uint64]:
    """A keyed permutation of [0, 2**bits): Feistel rounds on halves that differ by at most one bit.

    A round changes one half by a function of the other, so the same rounds backwards undo it.
    """
    low_bits = bits // 2
    low_mask = np.uint64((1 << low_bits) - 1)
    high_mask = np.uint64((1 << (bits - low_bits)) - 1)
    high_N, low_N = values_N >> np.uint64(low_bits), values_N & low_mask
    for number in range(_ROUNDS) if not inverse else reversed(range(_ROUNDS)):
        # wraps round, as the sum of number + 1 steps would
        round_keys_N = keys_N + np.uint64((number + 1) * int(_GOLDEN) % 2**64)
        if number % 2:
            low_N = low_N ^ (_mix(round_keys_N ^ _mix(high_N)) & low_mask)
        else:
            high_N = high_N ^ (_mix(round_keys_N ^ _mix(low_N)) & high_mask)
    return (high_N << np.uint64(low_bits)) | low_N


def _mix(values_N: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele et al. 2014): every input bit reaches every output bit."""
    values_N = values_N + _GOLDEN
    values_N = (values_N ^ (values_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values_N = (values_N ^ (values_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values_N ^ (values_N >> np.uint64(31))
