"""Whole words as tokens, as ELMo predicts them (Peters et al. 2018, arXiv 1802.05365, section 3.1).

Ids follow frequency, so the first n are the n most frequent words: a model may read more than it predicts.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.fidelity import Deviation

if TYPE_CHECKING:
    import tokenizers

MARKS = ("<pad>", "<unk>", "</s>", "<mask>")


class WordLevelConfig(Strict):
    """Words between blanks, each punctuation mark one of its own: <pad>=0 <unk>=1 </s>=2 <mask>=3.

    `</s>` stands on both sides of a text, as it does between the documents of a stream; nothing is masked.
    """

    name: Literal["word_level"]
    vocab_size: int = Field(ge=5, description="asked for: 4 marks and the most frequent words")
    min_frequency: int = Field(1, ge=1, description="a word seen less often is unknown")
    max_length: int = Field(512, ge=3, description="written as model_max_length until a model says otherwise")

    special_tokens: ClassVar[dict[str, str]] = {
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "bos_token": "</s>",
        "cls_token": "</s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "mask_token": "<mask>",
    }
    input_names: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask")

    def train(self, texts: Callable[[], Iterable[str]]) -> "tokenizers.Tokenizer":
        """Count the words of `texts()`, which is read once; of equally frequent ones the smaller is first."""
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

        tokenizer = Tokenizer(models.WordLevel({}, unk_token="<unk>"))
        # Hangul arrives composed or decomposed, depending on who typed it: one spelling, one word.
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=list(MARKS),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts(), trainer)
        if tokenizer.get_vocab_size() == len(MARKS):
            raise UserError(
                f"tokenizer: no word of the train split comes {self.min_frequency} times; "
                "look at the corpus, or lower min_frequency"
            )
        tokenizer.post_processor = processors.TemplateProcessing(
            single="</s>:0 $A:0 </s>:0",
            pair="</s>:0 $A:0 </s>:0 $B:1 </s>:1",
            special_tokens=[("</s>", MARKS.index("</s>"))],
        )
        return tokenizer


DEVIATIONS = (
    Deviation(
        system="ELMo",
        theirs="Sentences of the 1 Billion Word Benchmark as tokenized there, in random order, each between "
        "<S> and </S>.",
        ours="Documents of your corpus, split at blanks and punctuation, composed (NFC); one mark, </s>, "
        "stands between documents and on both sides of a text.",
        why="Documents keep their order, and what both directions begin from in fine-tuning is what they met "
        "in pretraining.",
        source="arXiv 1802.05365, section 3.4; allenai/bilm-tf bilm/data.py",
    ),
)
