"""predict: seedbed predict RUN FILE [key=value ...], what a fine-tuned run answers to a file of texts."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from seedbed.config import Machine, Strict, UserError
from seedbed.workspace import artifact

if TYPE_CHECKING:
    from seedbed.tasks.answers import Answers
    from seedbed.tasks.inputs import Input

BATCH_TEXTS = 1024
COLUMNS = {
    "texts": "give it a column text alone",
    "pairs": "give it columns text and pair",
    "choices": "give it columns text and choices",
}


class PredictOptions(Strict):
    """Where the answers go, and whose they are."""

    out: str = Field("", description="a .jsonl or .parquet file; JSON Lines to stdout where there is none")
    seeds: tuple[int, ...] = Field((), description="the seeds that are averaged; all where none is named")
    raw: bool = Field(False, description="probabilities as trained, without the temperatures fitted on valid")


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Answer every text of the file, in its order; what was done goes to stderr."""
    if len(arguments) < 2:
        raise UserError("predict: which run, which file? seedbed predict RUN FILE [key=value ...]")
    name, file, *words = arguments
    options = PredictOptions.parse_words(words, f"predict {name}")
    if options.out and Path(options.out).suffix not in (".jsonl", ".parquet"):
        raise UserError(f"predict {name}: out is {options.out}; give a name in .jsonl or .parquet")
    if options.out and Path(options.out).resolve() == Path(file).resolve():
        raise UserError(
            f"predict {name}: out is the file of the texts, which answers do not hold; name another"
        )
    answers = open_answers(root, machine, name, options.seeds, raw=options.raw)
    from seedbed.tasks.inputs import read_inputs

    cut: list[str] = []

    def told() -> Iterator[dict[str, Any]]:
        for row in predictions(answers, read_inputs(Path(file)), where=f"predict {name}: {file}"):
            if "cut" in row:
                cut.append(row["id"])
            yield row

    count = _write(told(), Path(options.out)) if options.out else _print(told())
    averaged = f"the mean of {len(answers.seeds)} seeds" if len(answers.seeds) > 1 else "one seed"
    print(f"predict {name}: {count} answers of {averaged}{calibration(answers)}", file=sys.stderr)
    if cut:
        print(
            f"predict {name}: {len(cut)} of them read the beginning alone, as their texts are longer than "
            f"{answers.cut_by}; they say cut: true, {cut[0]} is the first",
            file=sys.stderr,
        )


def calibration(answers: "Answers") -> str:
    """What is done to the probabilities, for people; nothing where there is nothing to do."""
    told = ", ".join(f"{value:.3g}" for value in answers.temperatures.values())
    return f", temperature {told}" if told else ""


def open_answers(root: Path, machine: Machine, name: str, seeds: tuple[int, ...], *, raw: bool) -> "Answers":
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
    return Answers(recipes[name], folder, seeds=seeds or None, raw=raw)


def predictions(answers: "Answers", inputs: "Iterator[Input]", *, where: str) -> Iterator[dict[str, Any]]:
    """The id of each input and what the task tells of it."""
    while batch := list(islice(inputs, BATCH_TEXTS)):
        if batch[0].kind != answers.asks:
            raise UserError(
                f"{where} holds {batch[0].kind}, this run answers {answers.asks}; {COLUMNS[answers.asks]}"
            )
        for one, answer in zip(batch, answers([one.parts for one in batch]), strict=True):
            yield {"id": one.id} | answer


def _print(rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def _write(rows: Iterator[dict[str, Any]], out: Path) -> int:
    """The file appears whole or not at all."""
    from seedbed.workspace import write_atomically

    if out.suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        write_atomically(out, ("\n".join(lines) + "\n").encode())
        return len(lines)
    import io

    import polars

    frame = polars.DataFrame(list(rows), infer_schema_length=None)
    if isinstance(frame.schema.get("probabilities"), polars.Struct):
        frame = frame.unnest("probabilities", separator="/")
    file = io.BytesIO()
    frame.write_parquet(file, statistics=False)
    write_atomically(out, file.getvalue())
    return frame.height
