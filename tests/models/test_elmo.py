"""ELMo: what each direction knows, torch's LSTMs, the published size, the folder."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.models import Elmo, ElmoConfig, load_elmo, save_elmo
from seedbed.models.projected_lstm import ProjectedLSTM
from tests.models.elmos import ENGLISH, KOREAN, make_elmo, spelled


def test_the_published_sizes_give_the_published_number_of_weights() -> None:
    """93.6 million, allennlp.org's table of models; ours has one character more."""
    with torch.device("meta"):
        elmo = Elmo(ElmoConfig.parse({"name": "elmo", "max_length": 20}, "elmo"), vocabulary_size=1)
    counted = sum(p.numel() for name, p in elmo.named_parameters() if not name.startswith("output."))
    assert counted == 93_600_848 + 16


def test_neither_direction_reads_what_it_is_to_predict() -> None:
    """Layers of position t: the forward half has no gradient from later words, the backward half from earlier."""
    elmo = make_elmo()
    words = torch.randn((2, 7, 12), generator=torch.Generator().manual_seed(0)).requires_grad_()
    for read, known in ((elmo.read_forward, torch.tril), (elmo.read_backward, torch.triu)):
        for hidden in read(words):
            reached = torch.stack(
                [
                    torch.autograd.grad(hidden[0, place].sum(), words, retain_graph=True)[0].abs().sum(-1)[0]
                    > 0
                    for place in range(7)
                ]
            )
            assert torch.equal(reached, known(torch.ones(7, 7)).bool())


def test_each_half_of_the_features_is_of_its_direction() -> None:
    elmo = make_elmo().eval()
    text, other = list(ENGLISH), list(ENGLISH)
    other[4] = "자유"
    (first, lengths), (second, _) = spelled(text), spelled(other)
    same = (elmo(first, lengths) == elmo(second, lengths)).all(-1)  # (K, 1, L)
    halves = [
        (elmo(first, lengths)[..., part] == elmo(second, lengths)[..., part]).all(-1)[:, 0]
        for part in (slice(0, 12), slice(12, 24))
    ]
    assert same[0, 0].tolist() == [place != 4 for place in range(8)], "the first layer knows the word alone"
    for layer in (1, 2):
        assert halves[0][layer].tolist() == [place < 4 for place in range(8)]
        assert halves[1][layer].tolist() == [place > 4 for place in range(8)]


def test_torch_gives_the_same_layers() -> None:
    """Both stacks by nn.LSTM, the backward one on the reversed text; the second LSTM's input is added."""
    elmo = make_elmo(cell_clip=None, projection_clip=None).double().eval()
    characters, lengths = spelled(ENGLISH)
    words = elmo.characters(characters[0])[None]

    def stack(layers: nn.ModuleList, read: Tensor) -> list[Tensor]:
        found = []
        for number, layer in enumerate(layers):
            assert isinstance(layer, ProjectedLSTM)
            other = nn.LSTM(12, 20, proj_size=12, batch_first=True).double()
            state = {
                "weight_ih_l0": layer.gates.weight,
                "bias_ih_l0": layer.gates.bias,
                "bias_hh_l0": torch.zeros_like(layer.gates.bias),
                "weight_hh_l0": layer.recurrence.weight,
                "weight_hr_l0": layer.projection.weight,
            }
            other.load_state_dict(state)
            read = other(read)[0] + (read if number else 0)
            found.append(read)
        return found

    expected = [torch.cat([words, words], -1)] + [
        torch.cat([before, behind.flip(1)], -1)
        for before, behind in zip(
            stack(elmo.forward_layers, words), stack(elmo.backward_layers, words.flip(1)), strict=True
        )
    ]
    torch.testing.assert_close(elmo(characters, lengths), torch.stack(expected), rtol=0, atol=1e-12)


def test_padding_changes_nothing() -> None:
    elmo = make_elmo().double().eval()
    together = elmo(*spelled(KOREAN, ENGLISH, KOREAN[:1]))
    for row, words in enumerate((KOREAN, ENGLISH, KOREAN[:1])):
        alone = elmo(*spelled(words))
        torch.testing.assert_close(together[:, row, : len(words)], alone[:, 0], rtol=0, atol=1e-12)


def test_spelling_is_all_that_is_known_of_a_word() -> None:
    elmo = make_elmo().eval()
    composed, decomposed = "각" * 2, "\u1100\u1161\u11a8" * 2
    layers = [elmo(*spelled(["나는", word])) for word in (composed, composed, decomposed)]
    assert torch.equal(layers[0], layers[1]) and not torch.equal(layers[0], layers[2])


def test_a_folder_gives_the_same_layers_back(tmp_path: Path) -> None:
    elmo = make_elmo().eval()
    save_elmo(tmp_path, elmo)
    written = json.loads((tmp_path / "config.json").read_text())
    assert (written["model_type"], written["vocab_size"]) == ("elmo", 30)
    again = load_elmo(tmp_path).eval()
    assert again.config == elmo.config
    batch = spelled(KOREAN, ENGLISH)
    assert torch.equal(again(*batch), elmo(*batch))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in elmo.state_dict().items())
    first = (tmp_path / "model.safetensors").read_bytes()
    save_elmo(tmp_path, again)
    assert (tmp_path / "model.safetensors").read_bytes() == first


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "bert"}, "model_type 'bert', expected 'elmo'"),
        ({"vocab_size": "many"}, "vocab_size is 'many', expected a number"),
        ({"cell_size": 21}, r"has shape \(80, .*config.json says \(84, "),
        ({"num_layers": 3}, r"no tensor backward_layers\.2"),
        ({"num_layers": 1}, r"unknown tensor backward_layers\.1"),
    ],
)
def test_a_folder_that_is_not_as_it_says_is_told(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    save_elmo(tmp_path, make_elmo())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=told):
        load_elmo(tmp_path)


def test_weights_follow_the_seed() -> None:
    first, again = make_elmo().state_dict(), make_elmo().state_dict()
    other = make_elmo().config.build(vocabulary_size=30, seed=4).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["output.weight"], other["output.weight"])


def test_dropout_is_of_training_alone() -> None:
    elmo = make_elmo(dropout=0.5)
    batch = spelled(ENGLISH)
    torch.manual_seed(0)
    assert not torch.equal(elmo(*batch), elmo(*batch))
    elmo.eval()
    assert torch.equal(elmo(*batch), elmo(*batch))
