"""Where a pretraining run begins if not with new weights: with those of checkpoint folders.

Continued pretraining on text of the task's domain: Gururangan et al. 2020 (arXiv 2004.10964). Every part of
the Learner comes from a folder to the bit, or is named as new.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import nn

from seedbed.config import Strict, UserError
from seedbed.models import Checkpoint, DecoderConfig, EncoderConfig, NewTokens, check_network, read_network
from seedbed.models.encoder import Family
from seedbed.models.layout import Kind
from seedbed.objectives.bidirectional_lm import BidirectionalLM
from seedbed.objectives.causal_lm import CausalLM
from seedbed.objectives.masked_lm import MaskedLM
from seedbed.objectives.next_sentence import NextSentence
from seedbed.objectives.replaced_token_detection import ReplacedTokenDetection
from seedbed.tokenization import Vocabulary, new_tokens
from seedbed.workspace import hash_folder

Part = Literal["token_head", "sentence_head", "generator", "discriminator", "detection_head", "output"]
Pretraining = BidirectionalLM | CausalLM | MaskedLM | NextSentence | ReplacedTokenDetection
Place = Callable[[str], Path]
"""The folder of a pretrain run's name, or of a path from models/pretrain."""


class Start(Strict):
    """The folders that a run's first weights come from, and the parts that begin anew all the same."""

    checkpoint: str | None = Field(
        None,
        description="a pretrain run, or a folder in the Hugging Face layout by its path from "
        "models/pretrain; of an ELECTRA the discriminator",
    )
    generator: str | None = Field(
        None, description="the folder of ELECTRA's generator; by default generator/ of the checkpoint"
    )
    new: tuple[Part, ...] = Field(
        (), description="parts that begin with new weights; what a folder lacks is refused unless it is here"
    )
    digest: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="sha256 over the checkpoint's sorted names and contents: other content is refused",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.checkpoint is None and self.generator is None:
            raise ValueError("start names no folder; give checkpoint, or leave start out to begin anew")
        if self.checkpoint is None and "discriminator" not in self.new:
            raise ValueError("start has a generator alone; say new: [discriminator], or give checkpoint")
        return self

    @property
    def folders(self) -> list[str]:
        """What is read, as the recipe names it."""
        return [name for name in (self.checkpoint, self.generator) if name is not None]

    def network(
        self, given: EncoderConfig | DecoderConfig | None, *, kind: str, place: Place
    ) -> EncoderConfig | DecoderConfig | None:
        """The network of the checkpoint, with the recipe's dropout where the recipe gives one."""
        if self.checkpoint is None:
            return given
        folder = place(self.checkpoint)
        if self.digest is not None and (found := hash_folder(folder)) != self.digest:
            raise UserError(
                f"start.digest: {folder} has sha256 {found}, wanted {self.digest}; the checkpoint changed: "
                "bring back the old one, or write the new digest"
            )
        config, _ = read_network(folder)
        if isinstance(config, EncoderConfig) != (kind == "encoder"):
            raise UserError(
                f"start.checkpoint: {folder} holds no {kind}, which the objective trains; choose another "
                "checkpoint or objective"
            )
        if given is None:
            return config
        remedy = f"leave {kind} out to take the checkpoint's, or correct it"
        check_network(given, config, where=kind, folder=folder, remedy=remedy)
        return given

    def build(
        self,
        make: Callable[[Vocabulary], Pretraining],
        vocabulary: Vocabulary,
        *,
        place: Place,
        tokenizer_folder: Path,
    ) -> Pretraining:
        """A new Learner, then filled from the folders; `make` draws the weights of the parts that are new."""
        folders = [place(name) for name in self.folders]
        new = new_tokens(folders[0], tokenizer_folder)
        rows = max(read_network(folders[0])[1], vocabulary.size)
        learner = make(replace(vocabulary, size=rows, word_starts=b""))
        tokens = NewTokens(*new) if new[1] else None
        opened = [Checkpoint(folder, new=tokens) for folder in folders]
        pads = [checkpoint.written.get("pad_token_id") for checkpoint in opened]
        if isinstance(learner, MaskedLM) and learner.encoder.config.family == "roberta":
            # RoBERTa counts positions from its padding
            pads = [1 if pad is None else pad for pad in pads]
            if pads[0] != vocabulary.pad_id:
                raise UserError(
                    f"{folders[0]}: pad_token_id {pads[0]}, the tokenizer has {vocabulary.pad_id}; positions "
                    "would be others; make the folder again"
                )
        match learner:
            case MaskedLM():
                self._fill_masked_lm(learner, opened[0])
            case NextSentence():
                masked = learner.masked_lm
                opened[0].fill_encoder(masked.encoder)
                self._fill_head(opened[0], masked.head, "bert", "masked_lm", "token_head")
                sentence = nn.ModuleDict({"sentence": learner.head})
                self._fill_head(opened[0], sentence, "bert", "next_sentence", "sentence_head")
                self._check_tied(opened[0], masked)
            case ReplacedTokenDetection():
                self._fill_detection(learner, opened, tokens)
            case CausalLM():
                missing = opened[0].fill_decoder(learner.decoder, new_output="output" in self.new)
                self._refuse(opened[0], missing, "output")
                if learner.decoder.output is None:
                    opened[0].check_tied(learner.decoder.token.weight)
        for checkpoint in opened:
            if unused := checkpoint.unused():
                listed = ", ".join(unused[:6]) + (", ..." if len(unused) > 6 else "")
                print(
                    f"start: {len(unused)} tensors of {checkpoint.folder} are not used: {listed}", flush=True
                )
        return learner

    def _fill_masked_lm(self, learner: MaskedLM, checkpoint: Checkpoint) -> None:
        checkpoint.fill_encoder(learner.encoder)
        self._fill_head(checkpoint, learner.head, learner.encoder.config.family, "masked_lm", "token_head")
        self._check_tied(checkpoint, learner)

    def _fill_detection(
        self, learner: ReplacedTokenDetection, opened: list[Checkpoint], tokens: NewTokens | None
    ) -> None:
        if self.checkpoint is not None:
            discriminator = opened[0]
            if "discriminator" not in self.new:
                discriminator.fill_encoder(learner.encoder)
            self._fill_head(
                discriminator, learner.head, "electra", "replaced_token_detection", "detection_head"
            )
            inside = discriminator.folder / "generator"
            if self.generator is None and inside.is_dir():
                opened.append(Checkpoint(inside, new=tokens))
        if "generator" in self.new:
            return
        if self.checkpoint is not None and len(opened) == 1:
            raise UserError(
                f"{opened[0].folder}: no folder generator in it; give the generator's as start.generator, or "
                "say start.new: [generator]"
            )
        generator = opened[-1]
        narrow, _ = read_network(generator.folder)
        check_network(
            learner.generator.encoder.config,
            narrow,
            where="generator",
            folder=generator.folder,
            remedy="correct objective.generator_ratio, or give this discriminator's generator",
        )
        shared = {name: tensor.clone() for name, tensor in learner.encoder.embeddings.state_dict().items()}
        self._fill_masked_lm(learner.generator, generator)
        found = learner.encoder.embeddings.state_dict()
        differing = sorted(name for name, tensor in shared.items() if not tensor.equal(found[name]))
        if differing and "discriminator" not in self.new:
            raise UserError(
                f"{generator.folder}: embeddings {', '.join(differing)} are not those of {opened[0].folder}, "
                "and both networks share one; give the generator of this discriminator, or say start.new: "
                "[generator]"
            )

    def _fill_head(
        self, checkpoint: Checkpoint, head: nn.Module, family: Family, kind: Kind, part: Part
    ) -> None:
        if part in self.new:
            return
        self._refuse(checkpoint, checkpoint.fill_head(head, family, kind), part)

    def _check_tied(self, checkpoint: Checkpoint, learner: MaskedLM) -> None:
        if "token_head" not in self.new:
            checkpoint.check_tied(learner.encoder.embeddings.token.weight)

    def _refuse(self, checkpoint: Checkpoint, missing: list[str], part: Part) -> None:
        if missing:
            raise UserError(
                f"{checkpoint.folder}: no {', '.join(missing)}; give a checkpoint that has its "
                f"{part}, or begin a new one: start.new: [{part}]"
            )
