"""WordPiece as BERT and ELECTRA use it (Devlin et al. 2018, arXiv 1810.04805, section 3), safe for Hangul."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.fidelity import Deviation

if TYPE_CHECKING:
    import tokenizers
    from tokenizers import normalizers

PREFIX = "##"
_COUNTED_TOGETHER = 2**20  # characters normalised and counted at a time


class WordPieceConfig(Strict):
    """BERT's ids and marks: [PAD]=0 [UNK]=1 [CLS]=2 [SEP]=3 [MASK]=4."""

    name: Literal["wordpiece"]
    vocab_size: int = Field(ge=16, description="asked for; a small corpus gives fewer, the artifact tells")
    lowercase: bool
    strip_accents: bool = Field(
        False, description="removes every combining mark, Japanese and Indic vowel signs too; Hangul is kept"
    )
    handle_chinese_chars: bool = Field(True, description="each Han character is a word of its own")
    alphabet_size: int = Field(
        1000, ge=1, description="most frequent characters kept, the rest are [UNK]; Korean needs about 3000"
    )
    min_frequency: int = Field(2, ge=1, description="a pair seen less often is not merged")
    max_length: int = Field(512, ge=3, description="written as model_max_length until a model says otherwise")

    special_tokens: ClassVar[dict[str, str]] = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    input_names: ClassVar[tuple[str, ...]] = ("input_ids", "token_type_ids", "attention_mask")

    def train(self, texts: Callable[[], Iterable[str]]) -> "tokenizers.Tokenizer":
        """Learn from `texts()`, which is read twice; the same texts give the same bytes.

        The library numbers continuation characters (`##x`) in the order of a hash map that is seeded
        anew in every process, and breaks ties between equally frequent pairs by those numbers: plain
        training differs from run to run, with one thread too. So the characters are counted first, and
        the alphabet and its continuation characters are handed to the trainer in a fixed order.
        """
        from tokenizers import Tokenizer, models, processors, trainers

        special = list(self.special_tokens.values())
        alphabet, inside = self._alphabet(texts())
        continuing = [PREFIX + character for character in inside]
        needed = len(special) + len(alphabet) + len(continuing)
        if needed > self.vocab_size:
            raise UserError(
                f"tokenizer.vocab_size: {self.vocab_size} tokens cannot hold {len(special)} special tokens, "
                f"{len(alphabet)} characters and {len(continuing)} characters inside words; "
                f"raise it above {needed} or lower tokenizer.alphabet_size ({self.alphabet_size})"
            )
        learner = self._pipeline(Tokenizer(models.WordPiece({}, unk_token="[UNK]")))
        trainer = trainers.WordPieceTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=special + continuing,
            # exactly the alphabet: the library's own cut of rarer characters breaks ties by hash order
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            continuing_subword_prefix=PREFIX,
            show_progress=False,
        )
        learner.train_from_iterator(texts(), trainer)
        learned = learner.get_vocab()
        first = special + alphabet + continuing
        merged = sorted(learned.keys() - set(first), key=learned.__getitem__)
        assert not [token for token in merged if len(token.removeprefix(PREFIX)) == 1]
        vocab = {token: index for index, token in enumerate(first + merged)}

        tokenizer = self._pipeline(Tokenizer(models.WordPiece(vocab, unk_token="[UNK]")))
        tokenizer.add_special_tokens(special)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
        )
        return tokenizer

    def _pipeline(self, tokenizer: "tokenizers.Tokenizer") -> "tokenizers.Tokenizer":
        from tokenizers import decoders, pre_tokenizers

        tokenizer.normalizer = self._normalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix=PREFIX)
        return tokenizer

    def _normalizer(self) -> "normalizers.Sequence":
        """NFC first: decomposed Hangul (macOS file names) must meet the same vocabulary.

        NFC last: BERT's accent stripping leaves text decomposed, which breaks every Hangul syllable into
        two or three jamo.
        """
        from tokenizers import normalizers

        return normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.BertNormalizer(
                    clean_text=True,
                    handle_chinese_chars=self.handle_chinese_chars,
                    strip_accents=self.strip_accents,
                    lowercase=self.lowercase,
                ),
                normalizers.NFC(),
            ]
        )

    def _alphabet(self, texts: Iterable[str]) -> tuple[list[str], list[str]]:
        """The most frequent characters (ties to the smaller code point), and those seen inside words."""
        import numpy as np
        from tokenizers import pre_tokenizers

        normalizer, splitter = self._normalizer(), pre_tokenizers.BertPreTokenizer()
        # C: every code point
        counts_C = np.zeros(0x110000, dtype=np.int64)
        joins_C, inside_C = np.zeros_like(counts_C, dtype=bool), np.zeros_like(counts_C, dtype=bool)
        for chunk in _joined(texts, _COUNTED_TOGETHER):
            codes = np.frombuffer(normalizer.normalize_str(chunk).encode("utf-32-le"), dtype="<u4")
            found_C = np.bincount(codes, minlength=len(counts_C))
            for code in np.flatnonzero((found_C > 0) & (counts_C == 0)).tolist():
                joins_C[code] = len(splitter.pre_tokenize_str(f"a{chr(code)}a")) == 1
            counts_C += found_C
            inside_C[codes[1:][joins_C[codes[:-1]] & joins_C[codes[1:]]]] = True
        order = np.argsort(-counts_C, kind="stable")[: np.count_nonzero(counts_C)].tolist()
        kept = [code for code in order if not chr(code).isspace()][: self.alphabet_size]
        if not kept:
            raise UserError("tokenizer: the train split has no text to learn from; look at the corpus")
        kept.sort()
        return [chr(code) for code in kept], [chr(code) for code in kept if inside_C[code]]


def _joined(texts: Iterable[str], characters: int) -> Iterator[str]:
    """Texts joined by new lines into strings of about `characters`."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        waiting.append(text)
        size += len(text) + 1
        if size >= characters:
            yield "\n".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield "\n".join(waiting)


DEVIATIONS = (
    Deviation(
        system="BERT",
        theirs="Uncased models strip accents, and text is left decomposed.",
        ours="Accents are kept unless strip_accents says otherwise; text is composed (NFC) before and after.",
        why="Decomposed Hangul would fall into jamo, and every Korean word with it.",
        source="google-research/bert tokenization.py",
    ),
    Deviation(
        system="BERT",
        theirs="The published vocabulary, learned by code that was never published; [PAD] is 0, [UNK] 100, "
        "[CLS] 101, [SEP] 102, [MASK] 103.",
        ours="A vocabulary learned on your corpus by the tokenizers library; the special tokens are 0 to 4.",
        why="Yours fits your text. The names are the same, so transformers reads either.",
        source="google-research/bert README.md",
    ),
)
