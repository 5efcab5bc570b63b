"""The published sets as conf/ reads them: counts as their publishers state them, where a mirror has them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from seedbed.corpora import FetchRecipe, TestSplit, read_split
from seedbed.corpora.mirror import Mirror
from seedbed.corpora.source import FetchContext
from seedbed.preprocessing import PreprocessRecipe
from seedbed.stages.compose import compose_run
from seedbed.tasks import FinetuneRecipe
from seedbed.tasks.examples import training_examples

ROOT = Path(__file__).parents[2]
# corpus: (fetch, task, documents of train and valid together, of test)
SETS = {
    "nsmc_labelled": ("nsmc", "nsmc", 150_000, 50_000),
    "sst2": ("sst2", "sst2", 67_349, 872),
    "cola": ("cola", "cola", 8_551, 1_043),
    "mrpc": ("mrpc", "mrpc", 3_667 + 408, 1_725),
    "wnli": ("wnli", "wnli", 635, 71),
    "stsb": ("stsb", "stsb", 5_749, 1_500),
    "ko_intent": ("ko_intent", "ko_intent", 55_134, 6_121),
    "ko_question_pairs": ("ko_question_pairs", "ko_question_pairs", 6_136 + 682, 758),
    "kornli": ("kornli", "kornli", 2_490, 5_010),
    "klue_ner": ("klue_ner", "klue_ner", 5_000, 5_000),
    "gum_ner": ("gum_ner", "entities", 2_495, 1_000),
    "broad_twitter": ("broad_twitter", "entities", 5_338 + 2_001, 2_000),
}
WHOLE = {
    "qnli": ("qnli", 5_463),
    "klue_nli": ("klue_nli", 3_000),
    "klue_sts": ("klue_sts", 519),
    "wikigold": ("entities", 1_841 - 145),  # less its marks of documents,
    "korquad": ("korquad", 5_774),
    "xquad_en": ("squad", 1_190),
}


def make(corpus: str, fetch: str, mirror: str, folder: Path) -> Path:
    """Fetch and preprocess as the stages do."""
    source = FetchRecipe.parse(compose_run(ROOT, "fetch", fetch, {}, {}), "fetch").source
    raw, clean = folder / "raw", folder / corpus
    raw.mkdir()
    clean.mkdir()
    context = FetchContext(root=folder, scratch=folder / "scratch", mirror=Mirror(mirror))
    source.fetch(raw, context=context)
    recipe = PreprocessRecipe.parse(compose_run(ROOT, "preprocess", corpus, {}, {}), "preprocess")
    recipe.build("preprocess").write(recipe.reader.read(raw), clean, where="preprocess")
    return clean


def task_of(name: str, corpus: str) -> FinetuneRecipe:
    links = {"backbone": "any", "corpus": corpus, "task": name}
    return FinetuneRecipe.parse(compose_run(ROOT, "finetune", "benchmark", links, {}), "finetune")


@pytest.mark.slow
@pytest.mark.parametrize("corpus", [*SETS, *WHOLE])
def test_every_published_example_is_there(corpus: str, real_mirror: str, tmp_path: Path) -> None:
    fetch, task, learned, tested = SETS.get(corpus) or (corpus, WHOLE[corpus][0], 0, 0)
    clean = make(corpus, fetch, real_mirror, tmp_path)
    recipe = task_of(task, corpus)
    facts, train, valid = training_examples(recipe.task, clean)
    documents = list(read_split(clean, "test", TestSplit(opened_by="test")))
    test = recipe.task.examples(documents, split="test", facts=facts)
    if corpus in SETS:
        assert (len(train) + len(valid), len(test)) == (learned, tested)
    else:
        assert len(train) + len(valid) + len(test) == WHOLE[corpus][1]
        assert min(len(train) / 2, len(valid), len(test)) > 0.03 * WHOLE[corpus][1]
    ids = Counter(example.id for example in [*train, *valid, *test])
    assert max(ids.values()) == 1


@pytest.mark.slow
def test_answers_of_one_article_are_in_one_split(real_mirror: str, tmp_path: Path) -> None:
    clean = make("korquad", "korquad", real_mirror, tmp_path)
    titles = [
        {json.loads(line)["meta"]["title"] for line in (clean / f"{split}.jsonl").open(encoding="utf-8")}
        for split in ("train", "valid", "test")
    ]
    assert not titles[0] & titles[1] and not titles[0] & titles[2] and not titles[1] & titles[2]


def test_the_official_score_of_each_benchmark() -> None:
    scores = {corpus: task_of(task, corpus).task for corpus, (_, task, _, _) in SETS.items()}
    found = {corpus: getattr(task, "metric", None) for corpus, task in scores.items()}
    assert found["cola"] == "matthews" and found["mrpc"] == "accuracy_f1"
    assert found["stsb"] == "pearson_spearman"
    assert found["nsmc_labelled"] == found["sst2"] == found["wnli"] == "accuracy"
    assert found["klue_ner"] == "entity_macro_f1" and found["gum_ner"] == "entity_f1"
