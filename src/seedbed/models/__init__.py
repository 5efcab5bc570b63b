"""Networks only: what they learn is said in objectives/ and tasks/."""

from seedbed.models.encoder import Encoder, EncoderConfig
from seedbed.models.heads import (
    ClassificationHead,
    DiscriminatorHead,
    MaskedLMHead,
    NextSentenceHead,
    PretrainingHeads,
    SequenceClassifier,
    build_sequence_classifier,
    classifier_on,
)
from seedbed.models.interchange import (
    load_encoder,
    load_pooler,
    load_sequence_classifier,
    save_pretrained,
)

__all__ = [
    "ClassificationHead",
    "DiscriminatorHead",
    "Encoder",
    "EncoderConfig",
    "MaskedLMHead",
    "NextSentenceHead",
    "PretrainingHeads",
    "SequenceClassifier",
    "build_sequence_classifier",
    "classifier_on",
    "load_encoder",
    "load_pooler",
    "load_sequence_classifier",
    "save_pretrained",
]
