"""A tag of each token from the tokens around it: Stanford CS224N's window classifier for names.

After Collobert et al. (2011, "Natural language processing (almost) from scratch", section 3.2.1): the
window's vectors joined, one hidden layer, one output layer.
Shapes: B rows, L positions, W window, E embedding size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.models.dropout import drop


class WindowClassifier(nn.Module):
    """Beyond the text's ends stands a vector of its own that is learned too."""

    def __init__(
        self,
        *,
        vocabulary_size: int,
        embedding_size: int,
        radius: int,
        hidden_size: int,
        num_outputs: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.radius, self.dropout = radius, dropout
        self.token = nn.Embedding(vocabulary_size, embedding_size)
        self.beyond = nn.Parameter(torch.zeros(embedding_size).normal_())
        self.hidden = nn.Linear((2 * radius + 1) * embedding_size, hidden_size)
        self.out = nn.Linear(hidden_size, num_outputs)

    def forward(self, input_ids_BL: Tensor, attention_mask_BL: Tensor, token_type_ids_BL: Tensor) -> Tensor:
        """logits_BLC."""
        del token_type_ids_BL
        inside_BL1 = attention_mask_BL.bool().unsqueeze(2)
        embedded_BLE = torch.where(inside_BL1, self.token(input_ids_BL), self.beyond)
        B, L, E = embedded_BLE.shape
        edge_BRE = self.beyond.expand(B, self.radius, E)
        wide = torch.cat([edge_BRE, embedded_BLE, edge_BRE], 1)
        windows = torch.cat([wide[:, first : first + L] for first in range(2 * self.radius + 1)], 2)
        hidden_BLH = self.hidden(drop(windows, self.dropout, self.training)).tanh()
        logits_BLC: Tensor = self.out(hidden_BLH)
        return logits_BLC


class BinaryWindowClassifier(WindowClassifier):
    """One score s of a window, u f(Wx + b): is its centre of the kind that is sought?

    As logits (0, s) of no and yes: their softmax is the sigmoid of s, their cross-entropy the logistic loss.
    """

    def forward(self, input_ids_BL: Tensor, attention_mask_BL: Tensor, token_type_ids_BL: Tensor) -> Tensor:
        """logits_BL2."""
        return F.pad(super().forward(input_ids_BL, attention_mask_BL, token_type_ids_BL), (1, 0))
