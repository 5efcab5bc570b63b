"""predict: seedbed predict RUN FILE [key=value ...], labels and probabilities for a file of texts."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from seedbed.config import Machine, Strict, UserError
from seedbed.workspace import artifact

if TYPE_CHECKING:
    from seedbed.tasks.answers import Answers
    from seedbed.tasks.inputs import Input

BATCH_TEXTS = 1024


class PredictOptions(Strict):
    """Where the answers go, and whose they are."""

    out: str = Field("", description="a .jsonl or .parquet file; JSON Lines to stdout where there is none")
    seeds: tuple[int, ...] = Field((), description="the seeds that are averaged; all where none is named")


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Answer every text of the file, in its order; what was done goes to stderr."""
    if len(arguments) < 2:
        raise UserError("predict: which run, which file? seedbed predict RUN FILE [key=value ...]")
    name, file, *words = arguments
    options = PredictOptions.parse_words(words, f"predict {name}")
    if options.out and Path(options.out).suffix not in (".jsonl", ".parquet"):
        raise UserError(f"predict {name}: out is {options.out}; give a name in .jsonl or .parquet")
    answers = open_answers(root, machine, name, options.seeds)
    from seedbed.tasks.inputs import read_inputs

    rows = predictions(answers, read_inputs(Path(file)))
    count = _write(rows, Path(options.out)) if options.out else _print(rows)
    averaged = f"the mean of {len(answers.seeds)} seeds" if len(answers.seeds) > 1 else "one seed"
    print(f"predict {name}: {count} texts, probabilities of {averaged}", file=sys.stderr)


def open_answers(root: Path, machine: Machine, name: str, seeds: tuple[int, ...]) -> "Answers":
    """The models of a fine-tuning run of the lock, with the threads that the machine file gives."""
    import torch

    from seedbed.recipes import load_lock
    from seedbed.tasks.answers import Answers
    from seedbed.tokenization import set_threads

    recipes, folder = load_lock(root).finetune, artifact(root, "finetune", name)
    if name not in recipes:
        raise UserError(f"{name}: no such fine-tuning run; known: {', '.join(recipes) or 'none'}")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; make it with `dvc repro finetune@{name}`")
    torch.set_num_threads(machine.threads)
    set_threads(machine.threads)
    return Answers(recipes[name], folder, seeds=seeds or None)


def predictions(answers: "Answers", inputs: "Iterator[Input]") -> Iterator[dict[str, object]]:
    """id, label, probability and the probabilities by label of each input."""
    while batch := list(islice(inputs, BATCH_TEXTS)):
        pairs = [one.pair for one in batch if one.pair is not None]
        found_NC = answers.probabilities([one.text for one in batch], pairs or None)
        for one, shares_C in zip(batch, found_NC.tolist(), strict=True):
            named = dict(zip(answers.labels, shares_C, strict=True))
            label = max(named, key=lambda each: named[each])
            yield {"id": one.id, "label": label, "probability": named[label], "probabilities": named}


def _print(rows: Iterator[dict[str, object]]) -> int:
    count = 0
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def _write(rows: Iterator[dict[str, object]], out: Path) -> int:
    """The file appears whole or not at all."""
    from seedbed.workspace import write_atomically

    if out.suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        write_atomically(out, ("\n".join(lines) + "\n").encode())
        return len(lines)
    import io

    import polars

    frame = polars.DataFrame(list(rows)).unnest("probabilities", separator="/")
    file = io.BytesIO()
    frame.write_parquet(file, statistics=False)
    write_atomically(out, file.getvalue())
    return frame.height
