"""A checkpoint's tokenizer with tokens added that a corpus needs: old ids stay, new ones follow.

Byte-level BPE: the merges that learning would have made next, behind the old ones (Sennrich et al. 2016,
arXiv 1508.07909, algorithm 1). WordPiece: first the characters without which words were unknown, the most
frequent first, then pieces joined by the same algorithm from the old segmentation. A word that gets no new
token is cut as before.
"""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.tokenization.existing import describe
from seedbed.tokenization.extension import longest_first
from seedbed.tokenization.folder import TOKENIZER, TOKENIZER_CONFIG, load_tokenizer, save_tokenizer

if TYPE_CHECKING:
    import tokenizers

Pair = tuple[str, str]


class ExtendedTokenizerConfig(Strict):
    """A base, and how many tokens the corpus may add."""

    name: Literal["extended"]
    checkpoint: str = Field(
        description="the base: a pretrain run, or a folder with tokenizer.json by its path from "
        "models/pretrain"
    )
    num_new_tokens: int = Field(ge=1, description="most tokens added; a small corpus gives fewer")
    min_frequency: int = Field(2, ge=1, description="a character or pair seen less often is not added")

    @property
    def files(self) -> list[str]:
        """What is read, by its path from models/pretrain."""
        return [f"{self.checkpoint}/{name}" for name in (TOKENIZER, TOKENIZER_CONFIG)]

    def write(self, base: Path, texts: Callable[[], Iterable[str]], *, folder: Path) -> None:
        """Learn from `texts()`, which is read once; the same texts give the same bytes."""
        save_tokenizer(self.extend(load_tokenizer(base), texts()), describe(base), folder=folder)

    def extend(self, base: "tokenizers.Tokenizer", texts: Iterable[str]) -> "tokenizers.Tokenizer":
        """The base with more tokens."""
        from tokenizers import Tokenizer, models

        words = count_words(base, texts)
        if not words:
            raise UserError("tokenizer: the train split has no text to learn from; look at the corpus")
        tree = json.loads(base.to_str())
        model = tree["model"]
        ids = base.get_vocab(with_added_tokens=True)
        if isinstance(base.model, models.WordPiece):
            prefix = base.model.continuing_subword_prefix
            added = self._characters(words, ids, prefix)
            known = {**ids, **number(added, ids)}
            found = [(longest_first(word, known, prefix=prefix), count) for word, count in words]
            names = {index: token for token, index in known.items()}
            cut = [([names[index] for index in piece], count) for piece, count in found if piece]
            tokens, _ = self._merge(cut, known, self.num_new_tokens - len(added), prefix)
            added += tokens
        elif isinstance(base.model, models.BPE) and not base.model.continuing_subword_prefix:
            cut = [([part.value for part in base.model.tokenize(word)], count) for word, count in words]
            added, merges = self._merge(cut, ids, self.num_new_tokens, "")
            model["merges"] += [list(pair) for pair in merges]
        else:
            raise UserError(
                f"tokenizer.checkpoint: {self.checkpoint} has a tokenizer of kind {model['type']}; WordPiece "
                "and byte-level BPE can be extended, take tokenizer existing"
            )
        model["vocab"] |= number(added, ids)
        return Tokenizer.from_str(json.dumps(tree))

    def _characters(self, words: list[tuple[str, int]], ids: dict[str, int], prefix: str) -> list[str]:
        """Characters without which a word is unknown, with their mark inside words."""
        missing = Counter[str]()
        for word, count in words:
            if longest_first(word, ids, prefix=prefix) is None:
                for place, character in enumerate(word):
                    token = (prefix if place else "") + character
                    if token not in ids:
                        missing[token] += count
        order = sorted(missing.items(), key=lambda item: (-item[1], item[0]))
        return [token for token, count in order if count >= self.min_frequency][: self.num_new_tokens]

    def _merge(
        self, words: list[tuple[list[str], int]], known: dict[str, int], limit: int, prefix: str
    ) -> tuple[list[str], list[Pair]]:
        """At most `limit` new tokens and the merges that make them, the most frequent pair first.

        Ties go to the pair of smaller ids, as in the tokenizers library.
        """
        ids, added, merges = dict(known), list[str](), list[Pair]()
        following = max(ids.values(), default=-1) + 1
        counts, places = Counter[Pair](), defaultdict[Pair, set[int]](set)
        for place, (word, count) in enumerate(words):
            for pair in pairwise(word):
                counts[pair] += count
                places[pair].add(place)

        def entry(pair: Pair) -> tuple[int, int, int, Pair]:
            return -counts[pair], ids[pair[0]], ids[pair[1]], pair

        queue = [entry(pair) for pair in counts]
        heapq.heapify(queue)
        while queue and len(added) < limit:
            negative, _, _, pair = heapq.heappop(queue)
            if -negative != counts[pair]:
                if counts[pair] > 0:
                    heapq.heappush(queue, entry(pair))
                continue
            if counts[pair] < self.min_frequency:
                break
            token = pair[0] + pair[1].removeprefix(prefix)
            merges.append(pair)
            if token not in ids:
                ids[token] = following + len(added)
                added.append(token)
            changed = set[Pair]()
            for place in places.pop(pair):
                word, count = words[place]
                joined = join(word, pair, token)
                for old in pairwise(word):
                    counts[old] -= count
                for new in pairwise(joined):
                    counts[new] += count
                    places[new].add(place)
                    changed.add(new)
                words[place] = joined, count
            counts.pop(pair, None)
            for new in sorted(changed):
                heapq.heappush(queue, entry(new))
        return added, merges


def count_words(base: "tokenizers.Tokenizer", texts: Iterable[str]) -> list[tuple[str, int]]:
    """The words that the base cuts, normalised and split as it does, with their counts."""
    counts = Counter[str]()
    for text in texts:
        normal = base.normalizer.normalize_str(text) if base.normalizer is not None else text
        if base.pre_tokenizer is None:
            counts[normal] += 1
        else:
            counts.update(word for word, _ in base.pre_tokenizer.pre_tokenize_str(normal))
    counts.pop("", None)
    return sorted(counts.items())


def number(tokens: Iterable[str], ids: dict[str, Any]) -> dict[str, int]:
    """Ids for new tokens, behind the largest there is."""
    return {token: index for index, token in enumerate(tokens, max(ids.values()) + 1)}


def join(word: list[str], pair: Pair, token: str) -> list[str]:
    """A word with every occurrence of a pair made one, from left to right."""
    joined: list[str] = []
    place = 0
    while place < len(word):
        if tuple(word[place : place + 2]) == pair:
            joined.append(token)
            place += 2
        else:
            joined.append(word[place])
            place += 1
    return joined
