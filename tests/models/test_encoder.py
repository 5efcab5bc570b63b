"""The encoder's configuration, initial weights and padding."""

from pathlib import Path

import pytest
import torch
import transformers
import yaml

from seedbed.config import UserError
from seedbed.models import Encoder, EncoderConfig
from seedbed.models.encoder import Family
from tests.models.families import FAMILIES, rows, shake, small, vocabulary_of

CONF = Path(__file__).resolve().parents[2] / "conf" / "encoder"
EVERY = pytest.mark.parametrize("family", FAMILIES)
LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
PUBLISHED = {
    "bert_base": ("Bert", {}),
    "bert_large": ("Bert", LARGE),
    "bert_small": (
        "Bert",
        {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4, "num_attention_heads": 8},
    ),
    "electra_small": ("Electra", {}),
    "electra_base": (
        "Electra",
        {"embedding_size": 768, "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    ),
    "electra_large": ("Electra", LARGE | {"embedding_size": 1024}),
    "roberta_base": ("Roberta", {"max_position_embeddings": 514, "type_vocab_size": 1}),
    "roberta_large": ("Roberta", LARGE | {"max_position_embeddings": 514, "type_vocab_size": 1}),
}


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_conf_file_is_an_encoder(path: Path) -> None:
    config = EncoderConfig.parse(yaml.safe_load(path.read_text(encoding="utf-8")), path.stem)
    assert config.family == path.stem.split("_")[0]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    """As many parameters as the class that loads the published checkpoint, pooler aside."""
    config = EncoderConfig.parse(yaml.safe_load((CONF / f"{name}.yaml").read_text()), name)
    family, changes = PUBLISHED[name]
    written = getattr(transformers, f"{family}Config")(**changes)
    with torch.device("meta"):
        encoder = Encoder(config, vocabulary_size=written.vocab_size, pad_id=written.pad_token_id)
        reference = getattr(transformers, f"{family}Model")(written)
    expected = sum(p.numel() for n, p in reference.named_parameters() if not n.startswith("pooler."))
    assert sum(p.numel() for p in encoder.parameters()) == expected


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_heads": 5}, "does not divide"),
        ({"family": "bert", "embedding_size": 16}, "embedding_size is for family electra"),
        ({"family": "gpt"}, "family"),
        ({"vocab_size": 8192}, "unknown key"),
    ],
)
def test_bad_config(changes: dict[str, object], told: str) -> None:
    config = small("electra").model_dump()
    with pytest.raises(UserError, match=told):
        EncoderConfig.parse(config | changes, "encoder")


@EVERY
def test_initial_weights(family: Family) -> None:
    config = small(family, hidden_size=256, intermediate_size=512)
    first, again, other = (config.build(vocabulary_of(family), seed=seed).state_dict() for seed in (1, 1, 2))
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]), name
        if name.endswith("bias"):
            assert not tensor.any(), name
        elif "norm" in name:
            assert (tensor == 1).all(), name
        else:
            assert not torch.equal(tensor, other[name]), name
    weight = first["blocks.0.feed_forward_in.weight"]
    # a normal cut at two standard deviations keeps 0.8796 of its spread
    spread = 0.02 if family == "roberta" else 0.02 * 0.8796
    assert abs(float(weight.std()) / spread - 1) < 0.01
    assert (float(weight.abs().max()) <= 0.04) == (family != "roberta")
    assert not first["embeddings.token.weight"][vocabulary_of(family).pad_id].any()


@EVERY
def test_padding_changes_nothing(family: Family) -> None:
    encoder = small(family).build(vocabulary_of(family)).double().eval()
    shake(encoder)
    batch = rows(family, padded=True)
    with torch.no_grad():
        together = encoder(batch["input_ids"], batch["attention_mask"])
        for row, mask in enumerate(batch["attention_mask"]):
            length = int(mask.sum())
            alone = encoder(batch["input_ids"][row : row + 1, :length])
            torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-12)


@EVERY
def test_dropout_follows_the_seed_and_eval_ends_it(family: Family) -> None:
    encoder = small(family, dropout=0.3, attention_dropout=0.3).build(vocabulary_of(family))
    ids = rows(family, padded=False)["input_ids"]
    torch.manual_seed(0)
    first, second = encoder(ids), encoder(ids)
    torch.manual_seed(0)
    assert torch.equal(first, encoder(ids))
    assert not torch.equal(first, second)
    encoder.eval()
    assert torch.equal(encoder(ids), encoder(ids))
    state = torch.get_rng_state()
    encoder(ids)
    assert torch.equal(state, torch.get_rng_state())
