"""Networks only: what they learn is said in objectives/ and tasks/. `DecoderFamily` is a catalogue."""

from typing import Annotated

from pydantic import Field

from seedbed.models.decoder import Decoder, DecoderConfig
from seedbed.models.decoder_classifier import DecoderClassifier, classifier_on_decoder, with_tokens
from seedbed.models.decoder_classifier_layout import load_decoder_classifier, save_decoder_classifier
from seedbed.models.depths import layer_depths
from seedbed.models.elmo import Elmo, ElmoConfig
from seedbed.models.elmo_classifier import ElmoClassifier, ElmoClassifierHead
from seedbed.models.elmo_layout import load_elmo, load_elmo_classifier, save_elmo, save_elmo_classifier
from seedbed.models.encoder import Encoder, EncoderConfig
from seedbed.models.filling import Checkpoint, NewTokens, check_network, read_network
from seedbed.models.gpt import GPT1Config, GPT2Config, GPTJConfig, GPTNeoConfig
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
    load_decoder,
    load_encoder,
    load_pooler,
    load_sequence_classifier,
    load_token_classifier,
    save_decoder,
    save_pretrained,
)
from seedbed.models.token_heads import (
    SpanClassifier,
    TokenClassifier,
    span_classifier_on,
    token_classifier_on,
)

DecoderFamily = Annotated[GPT1Config | GPT2Config | GPTNeoConfig | GPTJConfig, Field(discriminator="name")]

__all__ = [
    "Checkpoint",
    "ClassificationHead",
    "Decoder",
    "DecoderClassifier",
    "DecoderConfig",
    "DecoderFamily",
    "DiscriminatorHead",
    "Elmo",
    "ElmoClassifier",
    "ElmoClassifierHead",
    "ElmoConfig",
    "Encoder",
    "EncoderConfig",
    "GPT1Config",
    "GPT2Config",
    "GPTJConfig",
    "GPTNeoConfig",
    "MaskedLMHead",
    "NewTokens",
    "NextSentenceHead",
    "PretrainingHeads",
    "SequenceClassifier",
    "SpanClassifier",
    "TokenClassifier",
    "build_sequence_classifier",
    "check_network",
    "classifier_on",
    "classifier_on_decoder",
    "layer_depths",
    "load_decoder",
    "load_decoder_classifier",
    "load_elmo",
    "load_elmo_classifier",
    "load_encoder",
    "load_pooler",
    "load_sequence_classifier",
    "load_token_classifier",
    "read_network",
    "save_decoder",
    "save_decoder_classifier",
    "save_elmo",
    "save_elmo_classifier",
    "save_pretrained",
    "span_classifier_on",
    "token_classifier_on",
    "with_tokens",
]
