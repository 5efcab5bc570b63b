"""The digest set: exact, and small."""

import random

from seedbed.preprocessing.deduplicate import DigestSet, text_digest


def test_against_a_python_set() -> None:
    draw, seen, ours = random.Random(0), set(), DigestSet(capacity=4)
    for _ in range(30_000):
        text = str(draw.randrange(20_000))
        assert ours.add(text_digest(text)) == (text not in seen)
        seen.add(text)
    assert len(ours) == len(seen)


def test_bytes_per_document() -> None:
    ours = DigestSet()
    for number in range(50_000):
        ours.add(text_digest(f"{number}"))
    held = sum(len(table) * table.itemsize for table in (ours._low, ours._high))
    assert held / len(ours) <= 43


def test_digests_that_differ_in_one_half_are_kept_apart() -> None:
    ours = DigestSet(capacity=8)
    digests = [bytes(16), bytes(8) + b"\1" * 8, b"\2" * 8 + bytes(8), b"\xff" * 16]
    assert [ours.add(d) for d in digests] == [True] * 4
    assert [ours.add(d) for d in digests] == [False] * 4
