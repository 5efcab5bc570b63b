"""A number of each class for every position: tags of tokens, or the ends of an answer.

BERT (Devlin et al. 2018, arXiv 1810.04805), sections 4.2 and 5.3: dropout and one map, in every family.
Shapes: B rows, L positions, D hidden size, C classes.
"""

from torch import Tensor, nn

from seedbed.models.dropout import drop
from seedbed.models.encoder import Encoder


class TokenHead(nn.Module):
    """Dropout, then one map for all positions."""

    def __init__(self, hidden_size: int, *, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.out = nn.Linear(hidden_size, num_labels)

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        logits_BLC: Tensor = self.out(drop(hidden_BLD, self.dropout, self.training))
        return logits_BLC


class TokenClassifier(nn.Module):
    """An encoder with a head on every position."""

    def __init__(self, encoder: Encoder, *, num_labels: int, dropout: float | None = None) -> None:
        """`dropout` is the head's; None takes the encoder's. The head's weights are not yet filled."""
        super().__init__()
        self.encoder = encoder
        self.num_labels = num_labels
        self.head = TokenHead(
            encoder.config.hidden_size,
            num_labels=num_labels,
            dropout=encoder.config.dropout if dropout is None else dropout,
        )

    def forward(
        self,
        input_ids_BL: Tensor,
        attention_mask_BL: Tensor | None = None,
        token_type_ids_BL: Tensor | None = None,
        packed_RP: Tensor | None = None,
    ) -> Tensor:
        """logits_BLC; those of padding mean nothing."""
        hidden_BLD = self.encoder(input_ids_BL, attention_mask_BL, token_type_ids_BL, packed_RP=packed_RP)
        logits_BLC: Tensor = self.head(hidden_BLD)
        return logits_BLC


class SpanClassifier(TokenClassifier):
    """The logits of where an answer starts and ends; no dropout before them, as in BERT's code."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder, num_labels=2, dropout=0.0)


def token_classifier_on(
    encoder: Encoder, *, num_labels: int, dropout: float | None = None, seed: int = 0
) -> TokenClassifier:
    """A new head, its weights a function of `seed`, on an encoder as it is."""
    classifier = TokenClassifier(encoder, num_labels=num_labels, dropout=dropout)
    encoder.config.initialise(classifier.head, seed=seed)
    return classifier


def span_classifier_on(encoder: Encoder, *, seed: int = 0) -> SpanClassifier:
    """New ends of answers on an encoder as it is."""
    classifier = SpanClassifier(encoder)
    encoder.config.initialise(classifier.head, seed=seed)
    return classifier
