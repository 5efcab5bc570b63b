"""Text from text: a translation, an answer. A decoder goes on after the source, and what it writes is scored.

A row is [start; source; delimiter; target; extract], as GPT-1's pairs (Radford et al. 2018, section 3.3); the
extract token ends a text. Shapes: B rows, L positions, N predicted positions, T tokens written.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.data.randomness import uniform_at
from seedbed.learner import Accumulator, Batch, MeanAccumulator
from seedbed.metrics import Words, bleu, bleu_counts, chrf, chrf_counts
from seedbed.models import Decoder
from seedbed.models.decoding import Decoding
from seedbed.models.vocabulary_loss import TokenScores, token_scores, vocabulary_loss
from seedbed.tasks.benchmark import Benchmark, field_of
from seedbed.tasks.encoded import EncodedRows, Labels
from seedbed.tasks.examples import Floats, Head, Labelled, TaskFacts, WeightedScores
from seedbed.tasks.text_learner import Outputs, TextLearner
from seedbed.tokenization import add_input_tokens, encode_batch

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer

IGNORED, NOTHING = -100, -1


@dataclass(frozen=True, slots=True)
class TextPair(Labelled):
    """A source, and the text that should follow it."""

    source: str
    target: str

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.source,)


@dataclass(frozen=True, kw_only=True)
class EncodedTexts(EncodedRows):
    """Rows with the length of their prompts: start, source and delimiter."""

    prompts: npt.NDArray[np.int64]
    learned: Literal["target", "everything"]
    tokenizer: "Tokenizer"

    def labels_of(self, chosen: npt.NDArray[np.int64], length: int) -> Labels:
        """(B, L) the ids that are learned at their own places, IGNORED elsewhere; a row's first never is."""
        labels_BL = np.full((len(chosen), length), IGNORED, dtype=np.int64)
        for row, number in enumerate(chosen):
            first = self.prompts[number] if self.learned == "target" else 1
            labels_BL[row, first : len(self.ids[number])] = self.ids[number][first:]
        return labels_BL

    def collate(self, chosen: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        numbers = np.asarray(chosen, dtype=np.int64)
        return super().collate(chosen) | {
            "prompt_lengths": torch.from_numpy(self.prompts[numbers]),
            "numbers": torch.from_numpy(numbers),
        }


class TextGeneration(TextLearner):
    """Cross-entropy over the learned tokens of the whole step; texts are scored by their target alone."""

    classifier: Decoder

    def __init__(self, classifier: nn.Module, *, decoding: Decoding, num_tokens: int) -> None:
        super().__init__(classifier)
        self.decoding, self.num_tokens = decoding, num_tokens

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return {"tokens": (batch["labels"] != IGNORED).sum()}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        hidden_ND, labels_N = self._predicting(batch, batch["labels"] != IGNORED)
        total = vocabulary_loss(hidden_ND, *self.classifier.output_weights(), labels_N).total
        return {"loss": total / counts["tokens"]}

    def scores(self) -> MeanAccumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """Of the target's tokens, whatever is learned."""
        assert isinstance(accumulator, MeanAccumulator)
        scored = self._target(batch)
        accumulator.add_mean("loss", scored.nats_N.sum(), len(scored.nats_N))
        accumulator.add_mean("token_accuracy", scored.correct_N.sum(), len(scored.nats_N))

    def outputs(self, batch: Batch) -> Tensor:
        """(B, 2 + T): nats and tokens of the target, then the ids that were written, NOTHING behind them."""
        scored, end_id = self._target(batch), self.classifier.end_id
        assert end_id is not None
        found_BO = torch.full((len(batch["input_ids"]), 2 + self.num_tokens), float(NOTHING)).double()
        ends_B = _target_mask(batch).sum(1)
        for row, nats in enumerate(torch.split(scored.nats_N, ends_B.tolist())):
            found_BO[row, 0] = nats.double().sum()
        found_BO[:, 1] = ends_B
        lengths_B = batch["prompt_lengths"]
        for length in sorted(set(lengths_B.tolist())):
            rows_B = (lengths_B == length).nonzero().squeeze(1)
            numbers = batch["numbers"][rows_B].cpu().numpy()
            uniforms = uniform_at(self.decoding.seed, "text_generation", numbers, self.num_tokens)
            tokens_BT = self.decoding.write(
                self.classifier,
                batch["input_ids"][rows_B, :length],
                num_tokens=self.num_tokens,
                uniforms_BT=torch.from_numpy(uniforms).to(rows_B.device),
            )
            ended_BT = torch.eq(tokens_BT, end_id).cumsum(1) > 0
            found_BO[rows_B.cpu(), 2 : 2 + tokens_BT.shape[1]] = (
                tokens_BT.masked_fill(ended_BT, NOTHING).double().cpu()
            )
        return found_BO

    def _target(self, batch: Batch) -> TokenScores:
        hidden_ND, labels_N = self._predicting(batch, _target_mask(batch))
        return token_scores(hidden_ND, *self.classifier.output_weights(), labels_N)

    def _predicting(self, batch: Batch, wanted_BL: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors before the wanted tokens, and those tokens."""
        hidden_ND = self.classifier(
            batch["input_ids"], selected_N=wanted_BL.flatten().nonzero().squeeze(1) - 1
        )
        return hidden_ND, batch["input_ids"][wanted_BL]


def _target_mask(batch: Batch) -> Tensor:
    """(B, L): the target's tokens, its end among them."""
    place_L = torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device)
    return (place_L >= batch["prompt_lengths"][:, None]) & (batch["attention_mask"] > 0)


class TextGenerationConfig(Benchmark[TextPair]):
    """The document's text is the source, a field the target. The learner's rows are cut, the scored text not.

    Of a row's `max_length` tokens `num_tokens` belong to the target; a longer one is learned without an end.
    """

    name: Literal["text_generation"]
    head: ClassVar[Head] = "text"
    hub_tag: ClassVar[str] = "text-generation"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "bleu": (0.0, 100.0),
        "chrf": (0.0, 100.0),
        "perplexity": (1.0, math.inf),
    }
    lower_is_better: ClassVar[frozenset[str]] = frozenset(("perplexity",))
    target: str = Field(description="meta key of the text to be written")
    learned: Literal["target", "everything"] = Field(
        "target", description="everything: also to predict the source, as in pretraining"
    )
    num_tokens: int = Field(ge=2, description="most tokens written, the one that ends a text among them")
    decoding: Decoding
    bleu_units: Words = Field(
        "13a", description="what BLEU counts; of Korean without word pieces: characters"
    )
    metric: Literal["bleu", "chrf", "exact_match", "perplexity"] = Field(
        "bleu", description="the official score; of perplexity the smaller wins"
    )

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        return TaskFacts(labels=())

    def example(self, document: Document, facts: TaskFacts) -> TextPair:
        return TextPair(document.id, document.text, field_of(document, self.target))

    def encode(
        self,
        examples: Sequence[TextPair],
        tokenizer: "Tokenizer",
        *,
        facts: TaskFacts,
        max_length: int,
        pad_id: int,
    ) -> EncodedTexts:
        room = max_length - self.num_tokens - 2
        if room < 1:
            raise UserError(
                f"task {self.name}: max_length {max_length} leaves no token for the source beside num_tokens "
                f"{self.num_tokens} and two marks; raise max_length, or lower num_tokens"
            )
        start, delimiter, extract = add_input_tokens(tokenizer)
        sources = encode_batch(tokenizer, [example.source for example in examples])
        targets = encode_batch(tokenizer, [example.target for example in examples])
        prompts = [[start, *source[:room], delimiter] for source in sources]
        rows = [
            np.array([*prompt, *[*target, extract][: self.num_tokens]], dtype=np.int64)
            for prompt, target in zip(prompts, targets, strict=True)
        ]
        return EncodedTexts(
            ids=rows,
            type_ids=[np.zeros_like(row) for row in rows],
            pad_id=pad_id,
            cut=frozenset(number for number, source in enumerate(sources) if len(source) > room),
            prompts=np.array([len(prompt) for prompt in prompts], dtype=np.int64),
            learned=self.learned,
            tokenizer=tokenizer,
        )

    def num_outputs(self, facts: TaskFacts) -> int:
        return 0

    def learner(self, classifier: nn.Module) -> TextGeneration:
        return TextGeneration(classifier, decoding=self.decoding, num_tokens=self.num_tokens)

    def table(
        self,
        seed: int,
        examples: Sequence[TextPair],
        encoded: EncodedRows,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> "polars.DataFrame":
        """Columns label and predicted (texts), nats and tokens (of the label, as far as it was not cut)."""
        import polars

        return polars.DataFrame(
            {
                "seed": np.full(len(examples), seed, dtype=np.int64),
                "id": [example.id for example in examples],
                "label": [example.target for example in examples],
                "predicted": _texts(encoded, outputs),
                "nats": [float(row[0]) for row in outputs],
                "tokens": [int(row[1]) for row in outputs],
            }
        )

    def question(self, identity: str, parts: Sequence[str]) -> TextPair:
        return TextPair(identity, parts[0], "")

    def together(self, seeds: Sequence[int]) -> tuple[int, ...]:
        """Texts have no mean: the first alone."""
        return tuple(seeds[:1])

    def answers(
        self,
        examples: Sequence[TextPair],
        encoded: EncodedRows | None,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> list[dict[str, Any]]:
        """text, what was written."""
        del examples, facts
        return [{"text": text} for text in _texts(encoded, outputs)]

    def statistics(self, frame: "polars.DataFrame", facts: TaskFacts) -> WeightedScores:
        """Of resampled examples: BLEU and chrF of their summed counts, perplexity of their summed nats."""
        labels, written = frame["label"].to_list(), frame["predicted"].to_list()
        bleu_NK, chrf_NK = bleu_counts(labels, written, words=self.bleu_units), chrf_counts(labels, written)
        same_N = np.array([_plain(a) == _plain(b) for a, b in zip(labels, written, strict=True)], np.float64)
        nats_N, tokens_N = frame["nats"].to_numpy(), frame["tokens"].to_numpy()

        def perplexity(weights_BN: Floats) -> Floats:
            with np.errstate(over="ignore"):
                return np.asarray(np.exp((weights_BN @ nats_N) / (weights_BN @ tokens_N)))

        return {
            "bleu": lambda weights_BN: bleu(weights_BN @ bleu_NK),
            "chrf": lambda weights_BN: chrf(weights_BN @ chrf_NK),
            "exact_match": lambda weights_BN: weights_BN @ same_N / weights_BN.sum(1),
            "perplexity": perplexity,
        }


def _texts(encoded: EncodedRows | None, outputs: Sequence[Outputs]) -> list[str]:
    assert isinstance(encoded, EncodedTexts)
    written = [[int(token) for token in row[2:] if token != NOTHING] for row in outputs]
    return [text.strip() for text in encoded.tokenizer.decode_batch(written)]


def _plain(text: str) -> str:
    """A text however its letters are composed and its blanks are set."""
    return " ".join(normalize("NFC", text).split())
