"""Tasks made from a clean corpus, what classifies them, and the fine-tuning recipe."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from seedbed.tasks.classification import ClassificationConfig, ClassificationTask
from seedbed.tasks.decoder_classifier import DecoderClassifierConfig
from seedbed.tasks.decoder_writer import CausalLMWriterConfig
from seedbed.tasks.elmo_classification import ElmoClassifierConfig, ElmoLearner
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.examples import Example, Task, TaskFacts
from seedbed.tasks.multi_label import MultiLabelConfig
from seedbed.tasks.multiple_choice import MultipleChoiceConfig
from seedbed.tasks.pairs import PairsConfig
from seedbed.tasks.prediction import label_names, predict_test
from seedbed.tasks.question_answering import QuestionAnsweringConfig
from seedbed.tasks.regression import RegressionConfig
from seedbed.tasks.scratch_networks import (
    BinaryWindowConfig,
    RecurrentConfig,
    TextCNNConfig,
    WindowConfig,
)
from seedbed.tasks.seeds import SeparateSeeds, Sources
from seedbed.tasks.sequence_classification import SequenceClassification
from seedbed.tasks.text_generation import TextGenerationConfig
from seedbed.tasks.tfidf import TfidfConfig
from seedbed.tasks.token_classification import TokenClassificationConfig
from seedbed.tasks.topics import TopicsConfig
from seedbed.training import Training

TaskConfig = Annotated[
    TopicsConfig
    | PairsConfig
    | ClassificationConfig
    | RegressionConfig
    | MultiLabelConfig
    | TokenClassificationConfig
    | QuestionAnsweringConfig
    | MultipleChoiceConfig
    | TextGenerationConfig,
    Field(discriminator="name"),
]
Classifier = Annotated[
    EncoderClassifierConfig
    | DecoderClassifierConfig
    | CausalLMWriterConfig
    | ElmoClassifierConfig
    | TfidfConfig
    | TextCNNConfig
    | RecurrentConfig
    | WindowConfig
    | BinaryWindowConfig,
    Field(discriminator="name"),
]


class FinetuneRecipe(Training):
    """A backbone, a task on a corpus, and what classifies it; once for each seed.

    `global_batch_size` counts examples. A TF-IDF classifier uses the backbone's tokenizer alone, and
    none of the loop's fields.
    """

    backbone: str = Field(
        description="a pretrain run, or a folder in the Hugging Face layout by its path from models/pretrain"
    )
    corpus: str = Field(description="a preprocess run: the documents the task is made from")
    task: TaskConfig
    classifier: Classifier
    seeds: tuple[int, ...] = Field(min_length=1, description="one training each: head, order, dropout")
    separate_seeds: SeparateSeeds | None = Field(
        None,
        description="which seed of the head and which of the order each of `seeds` stands for, in turn; "
        "null: its own number for both",
    )
    seed: int = Field(0, ge=0, description="replaced by each of `seeds` in turn")
    max_length: int = Field(
        ge=8, description="tokens of an example; longer ones are cut, a pair's longer part first"
    )

    @property
    def sources(self) -> dict[int, Sources]:
        """What each of `seeds` draws from."""
        if self.separate_seeds is None:
            return {seed: Sources(seed, seed) for seed in self.seeds}
        return dict(zip(self.seeds, self.separate_seeds.sources(), strict=True))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.separate_seeds and len(self.seeds) != (count := len(self.separate_seeds.sources())):
            raise ValueError(
                f"separate_seeds are {count} trainings, and seeds names {len(self.seeds)}; give seeds "
                f"{list(range(1, count + 1))}"
            )
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds must be different whole numbers from 0")
        if self.classifier.name == "tfidf" and len(self.seeds) > 1:
            raise ValueError("tfidf has no chance in it, more seeds repeat the first; give one seed")
        if self.classifier.name == "tfidf" and getattr(self.task, "class_weights", None) is not None:
            raise ValueError("tfidf counts every example alike; leave the task's class_weights out (null)")
        if isinstance(self.classifier, TfidfConfig) and not isinstance(self.task, ClassificationTask):
            raise ValueError(
                f"classifier {self.classifier.name} gives a text its label, task {self.task.name} asks more; "
                "choose another classifier"
            )
        if isinstance(self.classifier, ElmoClassifierConfig) and isinstance(self.task, MultipleChoiceConfig):
            raise ValueError("classifier elmo reads a text or a pair, not choices; choose another classifier")
        if self.classifier.name != "tfidf" and self.task.head not in self.classifier.heads:
            raise ValueError(
                f"classifier {self.classifier.name} gives {' or '.join(sorted(self.classifier.heads))}, task "
                f"{self.task.name} asks for {self.task.head}; choose another classifier"
            )
        if isinstance(self.classifier, BinaryWindowConfig) and getattr(self.task, "types", None) != "merged":
            raise ValueError(
                f"classifier {self.classifier.name} says yes or no of each token, task {self.task.name} asks "
                "for the types of entities; set the task's types to merged, or choose classifier window"
            )
        return self


__all__ = [
    "CausalLMWriterConfig",
    "ClassificationTask",
    "Classifier",
    "DecoderClassifierConfig",
    "ElmoClassifierConfig",
    "ElmoLearner",
    "EncoderClassifierConfig",
    "Example",
    "FinetuneRecipe",
    "SequenceClassification",
    "Task",
    "TaskConfig",
    "TaskFacts",
    "TextGenerationConfig",
    "TfidfConfig",
    "label_names",
    "predict_test",
]
