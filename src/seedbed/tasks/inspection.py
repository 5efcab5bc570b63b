"""What the report shows of test examples: their texts, and how much of them a tokenizer does not know."""

from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.corpora import TestSplit, read_split
from seedbed.tasks.classification import ClassificationTask
from seedbed.tasks.examples import Example
from seedbed.tasks.prediction import read_facts, seed_folder
from seedbed.tokenization import Vocabulary, encode_batch, load_tokenizer

if TYPE_CHECKING:
    from seedbed.tasks import FinetuneRecipe


def test_examples(
    recipe: "FinetuneRecipe", model_folder: Path, corpus_folder: Path, key: TestSplit
) -> tuple[list[Example], list[float]]:
    """The examples that `predict_test` scores, and the share of unknown pieces in each (0 without pieces)."""
    assert isinstance(recipe.task, ClassificationTask), "others have answers of their own kind"
    documents = list(read_split(corpus_folder, "test", key))
    examples = recipe.task.examples(documents, split="test", facts=read_facts(model_folder))
    folder = seed_folder(model_folder, recipe.seeds[0])
    unk_id = Vocabulary.load(folder).unk_id
    texts = [one.text if one.pair is None else f"{one.text}\n{one.pair}" for one in examples]
    ids = encode_batch(load_tokenizer(folder), texts)
    return examples, [of_text.count(unk_id) / max(1, len(of_text)) for of_text in ids]


test_examples.__test__ = False  # type: ignore[attr-defined]  # a name in test_... is no pytest function
