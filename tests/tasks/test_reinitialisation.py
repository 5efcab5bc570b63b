"""Which layers begin anew, as what, and that the rest is pretraining's to the bit."""

from pathlib import Path

import pytest
import torch

from seedbed.config import UserError
from seedbed.models import EncoderConfig, PretrainingHeads, SequenceClassifier, load_encoder, save_pretrained
from seedbed.models.heads import MaskedLMHead, NextSentenceHead
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.tasks.reinitialisation import TopLayersConfig
from tests.models.families import shake
from tests.tasks.corpus import write_backbone


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of two layers whose values nothing would draw: norms and biases too."""
    folder = write_backbone(tmp_path_factory.mktemp("backbone"))
    loaded = load_encoder(folder)
    shake(loaded.encoder)
    save_pretrained(folder, loaded.encoder)
    return folder


def network(
    backbone: Path, *, seed: int = 1, pooler: bool = True, count: int | None = None, **changed: object
) -> SequenceClassifier:
    anew = None if count is None else {"name": "top_layers", "count": count, "pooler": pooler}
    values = {"name": "encoder", "weights": "pretrained", "reinitialise": anew, **changed}
    made = EncoderClassifierConfig.parse(values, "classifier")
    found = made.network(backbone, "sequence", num_outputs=3, seed=seed)
    assert isinstance(found, SequenceClassifier)
    return found


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_top_layers_and_no_other(backbone: Path, count: int) -> None:
    pretrained, anew = network(backbone), network(backbone, count=count)
    for name, value in pretrained.state_dict().items():
        parts = name.split(".")
        is_new = parts[1] == "blocks" and int(parts[2]) >= 2 - count
        assert torch.equal(value, anew.state_dict()[name]) is not is_new, name
    # filled as the family is: norms 1, biases 0, matrices within two deviations of 0.02 (ELECTRA)
    for block in list(anew.encoder.blocks)[2 - count :]:
        for name, parameter in block.state_dict().items():
            if name.endswith("norm.weight"):
                assert bool((parameter == 1).all())
            elif name.endswith("bias"):
                assert bool((parameter == 0).all())
            else:
                assert 0.01 < float(parameter.std()) < 0.02 and float(parameter.abs().max()) <= 0.04


def test_the_seed_decides_and_each_layer_has_its_own(backbone: Path) -> None:
    one, again, other = (network(backbone, count=2, seed=seed).encoder.blocks for seed in (1, 1, 2))
    assert torch.equal(one[1].attention_in.weight, again[1].attention_in.weight)
    assert not torch.equal(one[1].attention_in.weight, other[1].attention_in.weight)
    assert not torch.equal(one[0].attention_in.weight, one[1].attention_in.weight)
    top = network(backbone, count=1).encoder.blocks
    assert torch.equal(one[1].attention_in.weight, top[1].attention_in.weight)


def test_berts_pooler_begins_anew_unless_it_is_to_stay(backbone: Path, tmp_path: Path) -> None:
    folder = write_backbone(tmp_path, family="bert")
    loaded = load_encoder(folder)
    config: EncoderConfig = loaded.config
    heads = PretrainingHeads(
        MaskedLMHead(config, vocabulary_size=loaded.encoder.vocabulary_size), NextSentenceHead(config)
    )
    shake(heads)
    save_pretrained(folder, loaded.encoder, head=heads)
    trained = heads.sentence.pooler.weight
    assert torch.equal(network(folder).head.dense.weight, trained)
    assert torch.equal(network(folder, count=1, pooler=False).head.dense.weight, trained)
    assert not torch.equal(network(folder, count=1).head.dense.weight, trained)


def test_what_cannot_be_is_told(backbone: Path) -> None:
    with pytest.raises(UserError, match=r"reinitialise\.count: got 3, the backbone has 2 layers"):
        network(backbone, count=3)
    with pytest.raises(UserError, match="reinitialise is of pretrained weights, and weights is random"):
        network(backbone, count=1, weights="random")
    with pytest.raises(UserError, match="greater than or equal to 0"):
        TopLayersConfig.parse({"name": "top_layers", "count": -1}, "reinitialise")
