"""What the report shows of test examples: their texts, and how much of them a tokenizer does not know."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.corpora import TestSplit, read_split
from seedbed.tasks.examples import Labelled, Task
from seedbed.tasks.prediction import read_facts, seed_folder
from seedbed.tokenization import Vocabulary, encode_batch, load_tokenizer

if TYPE_CHECKING:
    from seedbed.tasks import FinetuneRecipe


def test_examples(
    recipe: "FinetuneRecipe", model_folder: Path, corpus_folder: Path, key: TestSplit
) -> tuple[list[Labelled], list[float]]:
    """The examples that `predict_test` scores, and the share of unknown pieces in each (0 without pieces)."""
    task: Task[Any] = recipe.task
    documents = list(read_split(corpus_folder, "test", key))
    examples = task.examples(documents, split="test", facts=read_facts(model_folder))
    folder = seed_folder(model_folder, recipe.seeds[0])
    unk_id = Vocabulary.load(folder).unk_id
    ids = encode_batch(load_tokenizer(folder), ["\n".join(one.parts) for one in examples])
    return examples, [of_text.count(unk_id) / max(1, len(of_text)) for of_text in ids]


test_examples.__test__ = False  # type: ignore[attr-defined]  # a name in test_... is no pytest function
