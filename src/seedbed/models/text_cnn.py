"""Convolutions over word vectors, each filter's greatest value (Kim 2014, arXiv 1408.5882, section 2).

Shapes: B rows, L positions, E embedding size, F filters of a width, C classes.
"""

import torch
from torch import Tensor, nn

from seedbed.models.dropout import drop


class TextCNN(nn.Module):
    """CNN-rand: the vectors are learned with the rest. Dropout before the one dense layer."""

    def __init__(
        self,
        *,
        vocabulary_size: int,
        embedding_size: int,
        widths: tuple[int, ...],
        num_filters: int,
        num_outputs: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.edge = max(widths) - 1
        self.token = nn.Embedding(vocabulary_size, embedding_size)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding_size, num_filters, width) for width in widths)
        self.out = nn.Linear(num_filters * len(widths), num_outputs)

    def forward(self, input_ids_BL: Tensor, attention_mask_BL: Tensor, token_type_ids_BL: Tensor) -> Tensor:
        """logits_BC. The text is as if it had max(widths) - 1 empty places on both sides, so short ones do.

        A window counts if it holds a token of the text: how far a batch is padded changes nothing.
        """
        del token_type_ids_BL
        mask_BL1 = attention_mask_BL.unsqueeze(2)
        embedded_BEL = (self.token(input_ids_BL) * mask_BL1).transpose(1, 2)
        embedded_BEL = nn.functional.pad(embedded_BEL, (self.edge, self.edge))
        length_B1 = attention_mask_BL.sum(1, keepdim=True)
        features = []
        for convolution in self.convolutions:
            found_BFW = convolution(embedded_BEL).relu()
            first_W = torch.arange(found_BFW.shape[2], device=found_BFW.device)
            inside_BW = first_W < length_B1 + self.edge
            features.append(found_BFW.masked_fill(~inside_BW.unsqueeze(1), 0.0).amax(2))
        logits_BC: Tensor = self.out(drop(torch.cat(features, 1), self.dropout, self.training))
        return logits_BC
