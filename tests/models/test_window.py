"""The window classifier sees its neighbours and no more; padding changes nothing."""

import torch

from seedbed.models.window import WindowClassifier


def model() -> WindowClassifier:
    torch.manual_seed(4)
    return WindowClassifier(
        vocabulary_size=20, embedding_size=4, radius=2, hidden_size=7, num_outputs=3, dropout=0.0
    ).double()


def test_a_token_sees_two_neighbours_on_each_side() -> None:
    network = model()
    ids, mask = torch.randint(0, 19, (1, 11)), torch.ones(1, 11, dtype=torch.long)
    before = network(ids, mask, ids)
    changed = ids.clone()
    changed[0, 5] = 19
    moved = (network(changed, mask, ids) != before).any(2)[0]
    assert moved.tolist() == [3 <= place <= 7 for place in range(11)]


def test_the_windows_are_joined_from_left_to_right_with_the_edge_beyond_the_ends() -> None:
    network = model()
    ids, mask = torch.tensor([[3, 7, 5]]), torch.ones(1, 3, dtype=torch.long)
    vectors = [network.beyond, network.beyond, *network.token(ids)[0], network.beyond, network.beyond]
    wanted = [network.out(network.hidden(torch.cat(vectors[n : n + 5])).tanh()) for n in range(3)]
    assert torch.allclose(network(ids, mask, ids)[0], torch.stack(wanted), atol=1e-12, rtol=0)
    longer = torch.tensor([[3, 7, 5, 9, 9]])
    padded = network(longer, torch.tensor([[1, 1, 1, 0, 0]]), longer)[0, :3]
    assert torch.allclose(padded, torch.stack(wanted), atol=1e-12, rtol=0)
