"""What the report shows of test examples: their texts, and how much of them a tokenizer does not know."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.corpora import TestSplit, read_split
from seedbed.tasks.examples import Labelled, Task
from seedbed.tasks.prediction import read_facts, seed_folder
from seedbed.tokenization import encode_batch, load_tokenizer
from seedbed.tokenization.folder import special_tokens

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
    tokenizer = load_tokenizer(folder)
    # a tokenizer of bytes knows every text, and may name no such token
    unk_id = tokenizer.token_to_id(special_tokens(folder, tokenizer).get("unk_token", ""))
    ids = encode_batch(tokenizer, ["\n".join(one.parts) for one in examples])
    return examples, [sum(one == unk_id for one in of_text) / max(1, len(of_text)) for of_text in ids]


test_examples.__test__ = False  # type: ignore[attr-defined]  # a name in test_... is no pytest function
