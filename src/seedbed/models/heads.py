"""What sits on an encoder: token and sentence prediction, replaced-token detection, classification.

Shapes: B rows, L positions, N selected positions, D hidden size, E embedding size, C classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.models.dropout import drop
from seedbed.models.encoder import Encoder, EncoderConfig, Vocabulary


class MaskedLMHead(nn.Module):
    """Dense, GELU, norm, then the token embeddings as output matrix with a bias of its own.

    The same in BERT (`cls.predictions`), RoBERTa (`lm_head`) and ELECTRA's generator, which goes
    down to the embedding size here. The tied matrix belongs to the encoder and is not held twice.
    """

    def __init__(self, config: EncoderConfig, *, vocabulary_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.token_size)
        self.norm = nn.LayerNorm(config.token_size, eps=config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, hidden_ND: Tensor) -> Tensor:
        """features_NE, whose logits are features_NE @ tokens_VE.T + bias_V."""
        features_NE: Tensor = self.norm(F.gelu(self.dense(hidden_ND)))
        return features_NE


class NextSentenceHead(nn.Module):
    """BERT's pooler and two classes from the first position: B follows A (0) or not (1).

    Its `pooler` is what sequence classification of a BERT begins from.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        self.out = nn.Linear(config.hidden_size, 2)

    def forward(self, first_BD: Tensor) -> Tensor:
        logits_BC: Tensor = self.out(self.pooler(first_BD).tanh())
        return logits_BC


class PretrainingHeads(nn.Module):
    """Both heads of BERT's pretraining, to be saved together."""

    def __init__(self, tokens: MaskedLMHead, sentence: NextSentenceHead) -> None:
        super().__init__()
        self.tokens = tokens
        self.sentence = sentence


class DiscriminatorHead(nn.Module):
    """One logit per position: was this token replaced (ELECTRA, arXiv 2003.10555, section 2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out = nn.Linear(config.hidden_size, 1)

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        logits_BL: Tensor = self.out(F.gelu(self.dense(hidden_BLD))).squeeze(-1)
        return logits_BL


class ClassificationHead(nn.Module):
    """Class logits from the first position's vector, as each family was published.

    ELECTRA: dropout, dense, GELU, dropout, out. RoBERTa: the same with tanh. BERT: dense and tanh
    (the pooler), dropout, out.
    """

    def __init__(self, config: EncoderConfig, *, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.family = config.family
        self.dropout = dropout
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out = nn.Linear(config.hidden_size, num_labels)

    def forward(self, first_BD: Tensor) -> Tensor:
        if self.family != "bert":
            first_BD = drop(first_BD, self.dropout, self.training)
        pooled_BD = self.dense(first_BD)
        pooled_BD = F.gelu(pooled_BD) if self.family == "electra" else pooled_BD.tanh()
        logits_BC: Tensor = self.out(drop(pooled_BD, self.dropout, self.training))
        return logits_BC


class SequenceClassifier(nn.Module):
    """An encoder with a classification head on its first position."""

    def __init__(self, encoder: Encoder, *, num_labels: int, dropout: float | None = None) -> None:
        """`dropout` is the head's; None takes the encoder's. The head's weights are not yet filled."""
        super().__init__()
        self.encoder = encoder
        self.num_labels = num_labels
        self.head = ClassificationHead(
            encoder.config,
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
        """logits_BC."""
        B, L = input_ids_BL.shape
        first_B = torch.arange(0, B * L, L, device=input_ids_BL.device)
        first_BD = self.encoder(
            input_ids_BL, attention_mask_BL, token_type_ids_BL, selected_N=first_B, packed_RP=packed_RP
        )
        logits_BC: Tensor = self.head(first_BD)
        return logits_BC


def classifier_on(
    encoder: Encoder,
    *,
    num_labels: int,
    dropout: float | None = None,
    seed: int = 0,
    pooler: nn.Linear | None = None,
) -> SequenceClassifier:
    """A new head, its weights a function of `seed`, on an encoder as it is.

    A `pooler` that pretraining trained (BERT's) takes the place of the new one.
    """
    classifier = SequenceClassifier(encoder, num_labels=num_labels, dropout=dropout)
    encoder.config.initialise(classifier.head, seed=seed)
    if pooler is not None:
        classifier.head.dense.load_state_dict(pooler.state_dict())
    return classifier


def build_sequence_classifier(
    config: EncoderConfig,
    vocabulary: Vocabulary,
    *,
    num_labels: int,
    dropout: float | None = None,
    seed: int = 0,
) -> SequenceClassifier:
    """A classifier from scratch; `dropout` is the head's, None takes the encoder's."""
    return classifier_on(
        config.build(vocabulary, seed=seed), num_labels=num_labels, dropout=dropout, seed=seed + 1
    )
