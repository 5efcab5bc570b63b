"""Bidirectional language modelling: each word from those before it, and from those behind it.

Peters et al. 2018 (ELMo, arXiv 1802.05365), section 3.1: the two likelihoods are maximised together.
Shapes: B rows, L positions, N = B * L, V words, C characters of a word, W different words of a batch,
D projection size.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from seedbed.config import Strict, UserError
from seedbed.data.packing import Ids, Prepare
from seedbed.fidelity import Deviation
from seedbed.learner import Accumulator, Batch, Learner
from seedbed.models import Elmo, ElmoConfig, save_elmo
from seedbed.models.dropout import drop
from seedbed.models.vocabulary_loss import VocabularyLoss, vocabulary_loss
from seedbed.objectives.masked_lm import PerplexityAccumulator
from seedbed.objectives.word_softmax import FullSoftmaxConfig, SampledSoftmaxConfig, Softmax
from seedbed.tokenization import Vocabulary, spell_all


class BidirectionalLMConfig(Strict):
    """Predict the next word and the one before, at every position."""

    name: Literal["bidirectional_lm"]
    num_words: int = Field(
        ge=5, description="most frequent words that are predicted; the others are one, <unk>"
    )
    softmax: Softmax

    network: ClassVar[str] = "elmo"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    def prepare(self, vocabulary: Vocabulary) -> Prepare:
        """What turns (rows_BL, their draws, seed) into a batch; the labels come with the rows."""
        return partial(_with_sample, self.softmax, self.size(vocabulary))

    def size(self, vocabulary: Vocabulary) -> int:
        """V, the words that are predicted."""
        return min(self.num_words, vocabulary.size)

    def build(self, elmo: ElmoConfig, vocabulary: Vocabulary, *, seed: int = 0) -> "BidirectionalLM":
        """A new Learner, its weights a function of `seed` alone."""
        if not vocabulary.whole_words:
            raise UserError(
                "objective bidirectional_lm: it reads whole words, the tokens are parts of words; "
                "take tokens of a tokenizer word_level"
            )
        words: list[str | None] = list(vocabulary.whole_words)
        words[vocabulary.sep_id] = None
        return BidirectionalLM(
            elmo.build(vocabulary_size=self.size(vocabulary), seed=seed),
            softmax=self.softmax,
            characters_VC=torch.from_numpy(spell_all(words, max_characters=elmo.characters.max_characters)),
            unk_id=vocabulary.unk_id,
        )


def _with_sample(
    softmax: FullSoftmaxConfig | SampledSoftmaxConfig, size: int, rows_BL: Ids, draws: int | Ids, seed: int
) -> dict[str, Tensor]:
    first = draws if isinstance(draws, int) else int(draws[0])
    return {"input_ids": torch.from_numpy(rows_BL), **softmax.draw(size, first=first, seed=seed)}


class BidirectionalLM(Learner):
    """Two readings of one stretch of a stream: x_0 .. x_L-1 to the right, x_L .. x_1 to the left.

    At position t the first has read x_0 .. x_t and predicts x_t+1 (`labels`), the second has read
    x_L .. x_t+1 and predicts x_t (`input_ids`): rows that tile a stream have each word predicted once in each
    direction.
    """

    def __init__(
        self,
        elmo: Elmo,
        *,
        softmax: FullSoftmaxConfig | SampledSoftmaxConfig,
        characters_VC: Tensor,
        unk_id: int,
    ) -> None:
        """`characters_VC` spells every id of the tokens, also of words that are not predicted."""
        super().__init__()
        self.elmo, self.softmax, self.unk_id = elmo, softmax, unk_id
        # no buffer: it follows from the tokens, and buffers are sent to all processes at every step
        self.characters_VC = characters_VC

    def hidden(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What predicts `labels` and what predicts `input_ids`, each (N, D).

        The CNN runs once for each different word, and every place of the word gets the same vector.
        """
        ids_2BL = torch.stack([batch["input_ids"], batch["labels"]])
        found_W, places_2BL = torch.unique(ids_2BL, return_inverse=True)
        self.characters_VC = self.characters_VC.to(found_W.device)
        right_BLD, left_BLD = F.embedding(places_2BL, self.elmo.characters(self.characters_VC[found_W]))
        last = self.elmo.read_forward(right_BLD)[-1], self.elmo.read_backward(left_BLD)[-1]
        before_ND, behind_ND = (
            drop(hidden, self.elmo.config.dropout, self.training).flatten(0, 1) for hidden in last
        )
        return before_ND, behind_ND

    def targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The words each direction is to predict, each (N,), rare ones as unknown."""
        rare = self.elmo.output.out_features
        right_N, left_N = (
            torch.where(ids < rare, ids, self.unk_id).flatten()
            for ids in (batch["labels"], batch["input_ids"])
        )
        return right_N, left_N

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return {"tokens": torch.tensor(batch["labels"].numel())}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        forward, backward = (
            self.softmax.total(self.elmo.output, hidden_ND, labels_N, batch, direction=direction)
            / counts["tokens"]
            for direction, (hidden_ND, labels_N) in enumerate(
                zip(self.hidden(batch), self.targets(batch), strict=True)
            )
        )
        return {"loss": (forward + backward) / 2, "forward_loss": forward, "backward_loss": backward}

    def scores(self) -> PerplexityAccumulator:
        return PerplexityAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        """Both directions together as `loss`, by the full softmax; `unknown` is a share of the words."""
        assert isinstance(accumulator, PerplexityAccumulator)
        found = [
            self._exact(hidden_ND, labels_N)
            for hidden_ND, labels_N in zip(self.hidden(batch), self.targets(batch), strict=True)
        ]
        count = batch["labels"].numel()
        accumulator.add_mean("loss", found[0].total + found[1].total, 2 * count)
        accumulator.add_mean("accuracy", sum(part.correct_N.sum() for part in found), 2 * count)
        for name, part in zip(("forward_loss", "backward_loss"), found, strict=True):
            accumulator.add_mean(name, part.total, count)
        accumulator.add_mean("unknown", (self.targets(batch)[0] == self.unk_id).sum(), count)

    def _exact(self, hidden_ND: Tensor, labels_N: Tensor) -> VocabularyLoss:
        return vocabulary_loss(
            hidden_ND,
            self.elmo.output.weight,
            self.elmo.output.bias,
            labels_N,
            count_correct=True,
        )

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors; transformers has no class that reads them."""
        save_elmo(folder, self.elmo)


DEVIATIONS = (
    Deviation(
        system="ELMo",
        theirs="Streams of 20 words a step, the LSTMs' state carried from one step to the next.",
        ours="Rows of max_length words, 128 in elmo, read from a state of zeros, with as many words a step; "
        "rows are cut anew in every epoch.",
        why="A step is a function of its number alone, so a stopped run goes on to the same bits on any "
        "number of devices; the gradient reaches further back, the state less far.",
        source="allenai/bilm-tf bilm/training.py",
    ),
    Deviation(
        system="ELMo",
        theirs="A word outside of the vocabulary is read by its own characters.",
        ours="So is every word that the tokens know, predicted or not; in pretraining a word that the "
        "tokenizer has not kept is read as the word <unk>, in fine-tuning by its own characters too.",
        why="Token shards hold numbers. Give the tokenizer a vocab_size above num_words.",
        source="allenai/bilm-tf bilm/data.py",
    ),
)
