"""Replaced-token detection: ELECTRA (Clark et al. 2020, arXiv 2003.10555, sections 2, 3.2, appendix A).

A small generator learns masked language modelling; a discriminator learns which tokens it replaced.
Shapes: B rows, L positions, N masked positions, D hidden size, S bins.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from seedbed.config import Strict, UserError
from seedbed.fidelity import Deviation
from seedbed.learner import Accumulator, Batch, Learner, MeanAccumulator
from seedbed.models import DiscriminatorHead, Encoder, EncoderConfig, MaskedLMHead, save_pretrained
from seedbed.objectives.masked_lm import MaskedLM
from seedbed.objectives.masking import Masker, Masking
from seedbed.tokenization import Vocabulary

NUM_BINS = 4096
LARGEST_LOGIT = 16.0


class ReplacedTokenDetectionConfig(Strict):
    """Masking as in the official code: 85 % of the chosen tokens become [MASK], 15 % stay."""

    name: Literal["replaced_token_detection"]
    masking: Masking = Field(default_factory=lambda: Masking(share=0.15, mask=0.85, random=0.0, keep=0.15))
    generator_ratio: float = Field(
        0.25, gt=0, le=1, description="the generator's width, feed-forward width and heads, of the encoder's"
    )
    discriminator_weight: float = Field(50.0, gt=0, description="lambda of the paper")

    network: ClassVar[str] = "encoder"
    needs: ClassVar[frozenset[str]] = frozenset()

    def prepare(self, vocabulary: Vocabulary) -> Masker:
        """What turns (rows_BL, their draws, seed) into a batch."""
        return self.masking.prepare(vocabulary, sampling=True)

    def generator(self, encoder: EncoderConfig) -> EncoderConfig:
        """The generator's shape: narrower, as deep, with the encoder's own embedding size."""
        hidden_size = max(1, round(encoder.hidden_size * self.generator_ratio))
        num_heads = max(1, round(encoder.num_heads * self.generator_ratio))
        if hidden_size % num_heads:
            raise UserError(
                f"objective.generator_ratio: {self.generator_ratio:g} makes a generator of hidden_size "
                f"{hidden_size} with {num_heads} heads, which does not divide; choose another ratio"
            )
        return encoder.model_copy(
            update={
                "hidden_size": hidden_size,
                "num_heads": num_heads,
                "intermediate_size": max(1, round(encoder.intermediate_size * self.generator_ratio)),
                "embedding_size": encoder.token_size,
            }
        )

    def build(
        self, encoder: EncoderConfig, vocabulary: Vocabulary, *, seed: int = 0
    ) -> "ReplacedTokenDetection":
        """A new Learner, its weights a function of `seed` alone."""
        if encoder.family != "electra":
            raise UserError(
                f"encoder.family: {encoder.family} with objective replaced_token_detection, whose layout "
                "is ELECTRA's; take an encoder of family electra, or objective masked_lm"
            )
        narrow = self.generator(encoder)
        generator_head = MaskedLMHead(narrow, vocabulary_size=vocabulary.size)
        narrow.initialise(generator_head, seed=seed + 1)
        head = DiscriminatorHead(encoder)
        encoder.initialise(head, seed=seed + 2)
        return ReplacedTokenDetection(
            generator=MaskedLM(narrow.build(vocabulary, seed=seed + 3), generator_head),
            encoder=encoder.build(vocabulary, seed=seed),
            head=head,
            discriminator_weight=self.discriminator_weight,
        )


class DetectionAccumulator(MeanAccumulator):
    """Means, and from counts by logit: AUC, precision and recall of replaced tokens.

    Tokens are counted in bins of equal width in the logit, so the counts of processes can be added;
    the area under the curve treats a bin as one tie, an error of some 1e-4.
    """

    def add_logits(self, logits: Tensor, replaced: Tensor) -> None:
        """Flat logits and whether each token was replaced."""
        width = 2 * LARGEST_LOGIT / NUM_BINS
        # A bin edge at 0, so that "logit above 0" is exactly the upper half of the bins.
        bins = ((logits.double() + LARGEST_LOGIT) / width).ceil().long().sub_(1).clamp_(0, NUM_BINS - 1)
        for name, chosen in (("replaced", replaced), ("original", ~replaced)):
            # weights, not a selection: its size would be unknown to the host
            counts_S = torch.bincount(bins, weights=chosen.double(), minlength=NUM_BINS)
            self.add(f"bins/{name}", counts_S)

    def results(self) -> dict[str, float]:
        found = super().results()
        replaced_S, original_S = self.sums["bins/replaced"], self.sums["bins/original"]
        num_replaced, num_original = float(replaced_S.sum()), float(original_S.sum())
        below_S = original_S.cumsum(0) - original_S
        pairs = num_replaced * num_original
        wins = float((replaced_S * (below_S + original_S / 2)).sum())
        hits = float(replaced_S[NUM_BINS // 2 :].sum())
        flagged = hits + float(original_S[NUM_BINS // 2 :].sum())
        return found | {
            "auc": wins / pairs if pairs else float("nan"),
            "precision": hits / flagged if flagged else 0.0,
            "recall": hits / num_replaced if num_replaced else 0.0,
        }


class ReplacedTokenDetection(Learner):
    """Generator and discriminator, trained together; the discriminator is the encoder that is kept.

    Token, position and type embeddings and their norm are one module in both, as in the official code
    (the paper, section 3.2, names tokens and positions).
    """

    def __init__(
        self, *, generator: MaskedLM, encoder: Encoder, head: DiscriminatorHead, discriminator_weight: float
    ) -> None:
        super().__init__()
        generator.encoder.embeddings = encoder.embeddings
        self.generator = generator
        self.encoder = encoder
        self.head = head
        self.discriminator_weight = discriminator_weight

    def _forward(self, batch: Batch, *, count_correct: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Generator's summed loss, correct_N, discriminator logits_BL, replaced_BL."""
        predicted = self.generator.predict(batch, count_correct=count_correct)
        masked_N, labels_N = batch["masked_index"], batch["labels"]
        # A sample equal to the original counts as original; ids carry no gradient to the generator.
        rows_BL = batch["input_ids"]
        corrupted_BL = rows_BL.flatten().index_copy(0, masked_N, predicted.sampled_N).view_as(rows_BL)
        replaced_BL = torch.zeros(rows_BL.numel(), dtype=torch.bool, device=rows_BL.device)
        replaced_BL = replaced_BL.index_copy(0, masked_N, predicted.sampled_N != labels_N).view_as(rows_BL)
        logits_BL = self.head(
            self.encoder(corrupted_BL, batch.get("attention_mask"), batch.get("token_type_ids"))
        )
        logits_BL = logits_BL.to(torch.promote_types(logits_BL.dtype, torch.float32))
        return predicted.total, predicted.correct_N, logits_BL, replaced_BL

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Masked tokens for the generator, real ones for the discriminator."""
        mask_BL = batch.get("attention_mask")
        real = torch.tensor(batch["input_ids"].numel()) if mask_BL is None else mask_BL.sum()
        return self.generator.counts(batch) | {"real": real}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        generator_total, _, logits_BL, replaced_BL = self._forward(batch, count_correct=False)
        generator_loss = generator_total / counts["masked"]
        total = detection_total(logits_BL, replaced_BL, batch.get("attention_mask"))
        discriminator_loss = total / counts["real"]
        return {
            "loss": generator_loss + self.discriminator_weight * discriminator_loss,
            "generator_loss": generator_loss,
            "discriminator_loss": discriminator_loss,
        }

    def scores(self) -> DetectionAccumulator:
        return DetectionAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, DetectionAccumulator)
        generator_total, correct_N, logits_BL, replaced_BL = self._forward(batch, count_correct=True)
        counts = self.counts(batch)
        masked, real = counts["masked"], counts["real"]
        accumulator.add_mean("generator_loss", generator_total, masked)
        accumulator.add_mean("generator_accuracy", correct_N.sum(), masked)
        mask_BL = batch.get("attention_mask")
        accumulator.add_mean(
            "discriminator_loss", detection_total(logits_BL.double(), replaced_BL, mask_BL), real
        )
        chosen_BL = slice(None) if mask_BL is None else mask_BL.bool()
        logits, replaced = logits_BL[chosen_BL].flatten(), replaced_BL[chosen_BL].flatten()
        accumulator.add_mean("accuracy", ((logits > 0) == replaced).sum(), real)
        accumulator.add_mean("replaced_share", replaced.sum(), real)
        accumulator.add_logits(logits, replaced)

    def save(self, folder: Path, *, tokenizer_folder: Path | None = None) -> None:
        """Write the Hugging Face layout: the discriminator at the root, the generator in generator/."""
        save_pretrained(folder, self.encoder, head=self.head, tokenizer_folder=tokenizer_folder)
        self.generator.save(folder / "generator", tokenizer_folder=tokenizer_folder)


def detection_total(logits_BL: Tensor, replaced_BL: Tensor, attention_mask_BL: Tensor | None) -> Tensor:
    """Sum of the binary cross-entropy over real tokens."""
    losses_BL = F.binary_cross_entropy_with_logits(
        logits_BL, replaced_BL.to(logits_BL.dtype), reduction="none"
    )
    return losses_BL.sum() if attention_mask_BL is None else (losses_BL * attention_mask_BL).sum()


DEVIATIONS = (
    Deviation(
        system="ELECTRA",
        theirs="The paper replaces every chosen token by [MASK] before the generator reads; the official "
        "code 85 % of them and leaves 15 % as they are.",
        ours="As the official code; the recipes electra_*-as_published take the paper's.",
        why="The published checkpoints were made by that code. The discriminator sees [MASK] in neither.",
        source="arXiv 2003.10555, section 2; google-research/electra pretrain/pretrain_helpers.py",
    ),
    Deviation(
        system="ELECTRA",
        theirs="Replacements are drawn by adding Gumbel noise to the logits of the whole vocabulary.",
        ours="By inverting the cumulative distribution at one uniform per position.",
        why="The same distribution from one random number a position in place of one a token.",
        source="google-research/electra pretrain/pretrain_helpers.py",
    ),
    Deviation(
        system="ELECTRA",
        theirs="The paper shares token and position embeddings between generator and discriminator.",
        ours="As the official code: token, position and type embeddings and their norm are one module.",
        why="The published checkpoints were made by that code.",
        source="arXiv 2003.10555, section 3.2; google-research/electra run_pretraining.py",
    ),
    Deviation(
        system="ELECTRA",
        theirs="The generator has max(1, width / 64) heads and a feed-forward width of four times its own.",
        ours="Width, feed-forward width and heads are generator_ratio of the encoder's, rounded.",
        why="The paper's words; for the published sizes both are the same.",
        source="arXiv 2003.10555, appendix A; google-research/electra run_pretraining.py",
    ),
)
