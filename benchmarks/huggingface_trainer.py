"""Fine-tuning by Hugging Face's Trainer: the peer of benchmarks/finetune.py.

It runs by the Python of an environment that has transformers and accelerate. Each line of JSON that it reads
is a run: checkpoint, examples (a file), threads, precision, dropout, num_steps, learning_rate, clock (wall or
cpu), padding ("longest" of a batch, or "max_length"). Each line that it writes has the times at which the
run's steps began, and its losses.
"""

import json
import sys
import tempfile
import time
import warnings
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

BATCH, LENGTH = 32, 128
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Clock(TrainerCallback):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        self.times: list[float] = []
        self.losses: list[float] = []
        self._read = CLOCKS[name]

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.times.append(self._read())

    def on_log(self, *_: Any, logs: dict[str, Any], **__: Any) -> None:
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


class Examples(torch.utils.data.Dataset[dict[str, Any]]):
    """In the order in which they are to be served."""

    def __init__(self, path: str) -> None:
        stored = np.load(path)
        self.labels = stored["labels"].tolist()
        self.ids = [part.tolist() for part in np.split(stored["ids"], stored["offsets"][1:-1])]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> dict[str, Any]:
        ids = self.ids[number]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": self.labels[number]}


def fit(run: dict[str, Any], clock: Clock) -> None:
    """As the Trainer stands: AdamW, clipping at 1; constant rate, no shuffling."""
    model = AutoModelForSequenceClassification.from_pretrained(
        run["checkpoint"],
        hidden_dropout_prob=run["dropout"],
        attention_probs_dropout_prob=run["dropout"],
        classifier_dropout=run["dropout"],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"[PAD]": 0})), pad_token="[PAD]"
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            max_steps=run["num_steps"],
            train_sampling_strategy="sequential",
            learning_rate=run["learning_rate"],
            weight_decay=0.01,
            adam_epsilon=1e-6,
            lr_scheduler_type="constant",
            logging_steps=1,
            logging_first_step=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            bf16=run["precision"] == "bf16",
            use_cpu=True,
            dataloader_pin_memory=False,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=Examples(run["examples"]),
            data_collator=DataCollatorWithPadding(tokenizer, padding=run["padding"], max_length=LENGTH),
            callbacks=[clock],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()


def main() -> None:
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for line in sys.stdin:
        run = json.loads(line)
        torch.set_num_threads(run["threads"])
        clock = Clock(run["clock"])
        fit(run, clock)
        print(json.dumps({"times": clock.times, "losses": clock.losses}), flush=True)


if __name__ == "__main__":
    main()
