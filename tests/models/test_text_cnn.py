"""The text CNN against plain counting of its windows; padding changes nothing."""

import pytest
import torch

from seedbed.models.text_cnn import TextCNN


def model() -> TextCNN:
    torch.manual_seed(3)
    return TextCNN(
        vocabulary_size=20, embedding_size=4, widths=(3, 4, 5), num_filters=6, num_outputs=3, dropout=0.0
    ).double()


@pytest.mark.parametrize("length", [1, 2, 7])
def test_features_are_the_greatest_over_every_window_that_holds_a_token(length: int) -> None:
    network = model()
    ids = torch.randint(0, 20, (1, length))
    embedded = network.token(ids)[0]
    empty = torch.zeros(4, 4, dtype=torch.float64)
    text = torch.cat([empty, embedded, empty])
    features = []
    for width, convolution in zip((3, 4, 5), network.convolutions, strict=True):
        values = []
        for first in range(len(text) - width + 1):
            window = text[first : first + width]
            if first < 4 + length:
                weight, bias = convolution.weight, convolution.bias
                assert isinstance(weight, torch.Tensor) and isinstance(bias, torch.Tensor)
                values.append((weight * window.T).sum((1, 2)) + bias)
        features.append(torch.stack(values).relu().amax(0))
    wanted = network.out(torch.cat(features))
    found = network(ids, torch.ones_like(ids), ids)[0]
    assert torch.allclose(found, wanted, atol=1e-12, rtol=0)


def test_padding_changes_nothing() -> None:
    network = model()
    ids = torch.randint(0, 20, (3, 9))
    lengths = torch.tensor([2, 9, 5])
    mask = (torch.arange(9) < lengths.unsqueeze(1)).long()
    together = network(ids, mask, ids)
    for row, length in enumerate(lengths.tolist()):
        alone = network(ids[row : row + 1, :length], mask[row : row + 1, :length], ids)
        assert torch.allclose(alone[0], together[row], atol=1e-12, rtol=0)
