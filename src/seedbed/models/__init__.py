"""Networks only: what they learn is said in objectives/ and tasks/."""

from seedbed.models.depths import layer_depths
from seedbed.models.encoder import Encoder, EncoderConfig
from seedbed.models.heads import (
    ClassificationHead,
    DiscriminatorHead,
    MaskedLMHead,
    SequenceClassifier,
    build_sequence_classifier,
    classifier_on,
)
from seedbed.models.interchange import load_encoder, load_sequence_classifier, save_pretrained

__all__ = [
    "ClassificationHead",
    "DiscriminatorHead",
    "Encoder",
    "EncoderConfig",
    "MaskedLMHead",
    "SequenceClassifier",
    "build_sequence_classifier",
    "classifier_on",
    "layer_depths",
    "load_encoder",
    "load_sequence_classifier",
    "save_pretrained",
]
