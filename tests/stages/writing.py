"""A small project whose task is to write a text, and one process of its fine-tuning, alone or of several."""

import json
import sys
from pathlib import Path
from typing import Any

from seedbed.config import Machine, rank_and_world
from seedbed.corpora.base import encode_document
from seedbed.models import save_decoder
from seedbed.stages import finetune
from seedbed.tasks import FinetuneRecipe
from seedbed.tokenization import Vocabulary
from seedbed.training.ranks import leave_process_group
from seedbed.workspace import Workspace, artifact
from tests.models.decoders import small_gpt
from tests.stages.test_finetune import recipe
from tests.stages.test_finetune_tasks import labelled
from tests.tasks.corpus import documents, write_backbone


def make_project(root: Path) -> None:
    """A decoder with random weights, and a corpus whose texts all have one answer."""
    folder = write_backbone(root / "models/pretrain/gpt", family="roberta")
    (folder / "config.json").unlink()
    save_decoder(folder, small_gpt("gpt1", max_length=64).build(Vocabulary.load(folder), seed=1))
    (folder / "metrics.json").write_text('{"valid/loss": 1.0}')
    corpus = artifact(root, "preprocess", "tiny")
    corpus.mkdir(parents=True)
    counts = {}
    for split, first in (("train", 0), ("valid", 1000), ("test", 2000)):
        found = [labelled(n, d) for n, d in enumerate(documents(4, first=first))]
        (corpus / f"{split}.jsonl").write_bytes(b"".join(map(encode_document, found)))
        counts[split] = len(found)
    (corpus / "manifest.json").write_text(json.dumps({"documents": counts, "dropped": {}}))


def writing(*, max_steps: int, **task: Any) -> FinetuneRecipe:
    return recipe(
        backbone="gpt",
        task={
            "name": "text_generation",
            "target": "second",
            "num_tokens": 16,
            "bleu_units": "characters",  # the answer has three words, too few for a 4-gram
            "decoding": {"name": "greedy"},
            **task,
        },
        classifier={"name": "causal_lm", "weights": "pretrained"},
        max_steps=max_steps,
        seeds=[1, 2],
        max_length=40,
        global_batch_size=8,
        precision="fp32",
        optimizer={"name": "adamw", "learning_rate": 5e-3},
    )


def workspace(root: Path, run: str, **machine: Any) -> Workspace:
    rank, _ = rank_and_world()
    return Workspace(
        root=root,
        verb="finetune",
        run=run,
        machine=Machine(threads=1, checkpoint_minutes=1000, **machine),
        out=artifact(root, "finetune", run),
        scratch=root / "scratch" / run,
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={
            f"{verb}/{of}": artifact(root, verb, of)
            for verb, of in (("preprocess", "tiny"), ("pretrain", "gpt"))
        },
        rank=rank,
    )


if __name__ == "__main__":
    root, name, devices = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    # micro-batches of four examples, one after another or at once
    finetune.run(workspace(root, name, devices=devices, tokens_per_device=160), writing(max_steps=10))
    leave_process_group()
