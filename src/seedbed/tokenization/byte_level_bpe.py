"""Byte-level BPE as GPT-2 and RoBERTa use it (Liu et al. 2019, arXiv 1907.11692, section 4.4)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.fidelity import Deviation

if TYPE_CHECKING:
    import tokenizers


class ByteLevelBPEConfig(Strict):
    """RoBERTa's ids and marks: <s>=0 <pad>=1 </s>=2 <unk>=3 <mask>=4; no text is ever unknown."""

    name: Literal["byte_level_bpe"]
    vocab_size: int = Field(ge=261, description="asked for: 5 special tokens, 256 bytes, merges")
    add_prefix_space: bool = Field(False, description="the first word is treated like one inside the text")
    min_frequency: int = Field(2, ge=1, description="a pair seen less often is not merged")
    max_length: int = Field(512, ge=3, description="written as model_max_length until a model says otherwise")

    special_tokens: ClassVar[dict[str, str]] = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    input_names: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask")

    def train(self, texts: Callable[[], Iterable[str]]) -> "tokenizers.Tokenizer":
        """Learn from `texts()`, which is read once; the same texts give the same bytes."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
        from tokenizers.processors import RobertaProcessing

        tokenizer = Tokenizer(models.BPE())
        # Hangul arrives composed or decomposed, depending on who typed it: one spelling, one encoding.
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=self.add_prefix_space)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=[
                "<s>",
                "<pad>",
                "</s>",
                "<unk>",
                # a mask stands for a word together with the space before it
                AddedToken("<mask>", lstrip=True, special=True, normalized=False),
            ],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        seen = False

        def watched() -> Iterable[str]:
            nonlocal seen
            for text in texts():
                seen = seen or bool(text.strip())
                yield text

        tokenizer.train_from_iterator(watched(), trainer)
        if not seen:
            raise UserError("tokenizer: the train split has no text to learn from; look at the corpus")
        tokenizer.post_processor = RobertaProcessing(
            ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=self.add_prefix_space
        )
        return tokenizer


DEVIATIONS = (
    Deviation(
        system="RoBERTa",
        theirs="GPT-2's vocabulary of 50K, learned on its text; bytes as they come.",
        ours="A vocabulary learned on your corpus; text is composed (NFC) first.",
        why="Hangul typed composed and decomposed must meet the same tokens.",
        source="arXiv 1907.11692, section 4.4",
    ),
)
