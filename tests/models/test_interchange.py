"""Folders: what we write transformers loads whole, what it writes we load alike, bad folders say why."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn

from seedbed.config import UserError
from seedbed.models import (
    DiscriminatorHead,
    Encoder,
    MaskedLMHead,
    NextSentenceHead,
    PretrainingHeads,
    SequenceClassifier,
    build_sequence_classifier,
    load_encoder,
    load_pooler,
    load_sequence_classifier,
    save_pretrained,
)
from seedbed.models.encoder import Family
from tests.models.families import FAMILIES, rows, shake, small, vocabulary_of

EVERY = pytest.mark.parametrize("family", FAMILIES)


def encoder_of(family: Family) -> Encoder:
    encoder = small(family).build(vocabulary_of(family), seed=3)
    shake(encoder)
    return encoder.eval()


def heads_of(encoder: Encoder) -> list[tuple[MaskedLMHead | DiscriminatorHead | SequenceClassifier, str]]:
    config = encoder.config
    heads: list[tuple[MaskedLMHead | DiscriminatorHead | SequenceClassifier, str]] = [
        (MaskedLMHead(config, vocabulary_size=encoder.vocabulary_size), "AutoModelForMaskedLM"),
        (SequenceClassifier(encoder, num_labels=3), "AutoModelForSequenceClassification"),
    ]
    if config.family == "electra":
        heads.append((DiscriminatorHead(config), "AutoModelForPreTraining"))
    return heads


@EVERY
def test_transformers_loads_every_head_with_no_key_missing_or_left_over(
    family: Family, tmp_path: Path
) -> None:
    encoder = encoder_of(family)
    for number, (head, auto) in enumerate(heads_of(encoder)):
        folder = tmp_path / str(number)
        save_pretrained(folder, encoder, head=head)
        model, info = getattr(transformers, auto).from_pretrained(folder, output_loading_info=True)
        assert not any(info.values()), (auto, info)
        assert [type(model).__name__] == model.config.architectures


@EVERY
def test_auto_model_gives_our_vectors(family: Family, tmp_path: Path) -> None:
    """From a folder with a head: all of the encoder arrives, the head is left over, the pooler is new."""
    encoder = encoder_of(family)
    save_pretrained(tmp_path, encoder, head=heads_of(encoder)[0][0])
    model, info = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    pooler = set() if family == "electra" else {"pooler.dense.weight", "pooler.dense.bias"}
    assert set(info["missing_keys"]) == pooler
    heads = ("cls.", "lm_head.", "generator_")
    assert all(name.startswith(heads) for name in info["unexpected_keys"])
    batch = rows(family, padded=True)
    with torch.no_grad():
        ours = encoder(batch["input_ids"], batch["attention_mask"])
        theirs = model.eval()(**batch).last_hidden_state
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(ours[real], theirs[real], rtol=1e-5, atol=1e-5)


@EVERY
def test_bare_encoder(family: Family, tmp_path: Path) -> None:
    save_pretrained(tmp_path, encoder_of(family))
    _, info = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["unexpected_keys"]
    assert all(name.startswith("pooler.") for name in info["missing_keys"])


@EVERY
def test_round_trip_to_the_bit(family: Family, tmp_path: Path) -> None:
    encoder = encoder_of(family)
    for number, (head, _) in enumerate(heads_of(encoder)):
        save_pretrained(tmp_path / str(number), encoder, head=head)
        loaded, config = load_encoder(tmp_path / str(number))
        assert config == encoder.config
        assert (loaded.vocabulary_size, loaded.pad_id) == (encoder.vocabulary_size, encoder.pad_id)
        assert_same_state(loaded, encoder)


@EVERY
def test_same_tensors_same_bytes(family: Family, tmp_path: Path) -> None:
    encoder = encoder_of(family)
    head = heads_of(encoder)[0][0]
    save_pretrained(tmp_path / "a", encoder, head=head)
    save_pretrained(tmp_path / "b", load_encoder(tmp_path / "a").encoder, head=head)
    for name in ("model.safetensors",):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@EVERY
def test_folder_written_by_transformers(family: Family, tmp_path: Path) -> None:
    """Sizes, head, defaults left out of config.json and shards as transformers writes them."""
    vocabulary = vocabulary_of(family)
    name = {"bert": "Bert", "electra": "Electra", "roberta": "Roberta"}[family]
    config = getattr(transformers, f"{name}Config")(
        vocab_size=vocabulary.size,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=40,
        max_position_embeddings=26,
        pad_token_id=vocabulary.pad_id,
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForMaskedLM")(config).eval()
    batch = rows(family, padded=True)
    with torch.no_grad():
        theirs = getattr(model, family)(**batch).last_hidden_state
    real = batch["attention_mask"].bool()
    for place, size in (("whole", "1GB"), ("shards", "20KB")):
        model.save_pretrained(tmp_path / place, max_shard_size=size)
        encoder, ours = load_encoder(tmp_path / place)
        assert ours.max_length == 26 - (vocabulary.pad_id + 1 if family == "roberta" else 0)
        with torch.no_grad():
            hidden = encoder.eval()(batch["input_ids"], batch["attention_mask"])
        torch.testing.assert_close(hidden[real], theirs[real], rtol=1e-5, atol=1e-5)
    assert (tmp_path / "shards" / "model.safetensors.index.json").is_file()


@EVERY
def test_classifier_round_trip(family: Family, tmp_path: Path) -> None:
    classifier = build_sequence_classifier(small(family), vocabulary_of(family), num_labels=4, dropout=0.3)
    shake(classifier)
    labels = ["값", "pandas", "a b", "42"]
    save_pretrained(tmp_path, classifier.encoder, head=classifier, labels=labels)
    loaded = load_sequence_classifier(tmp_path)
    assert_same_state(loaded, classifier)
    assert (loaded.num_labels, loaded.head.dropout) == (4, 0.3)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert [config.id2label[i] for i in range(4)] == labels


def test_names_of_old_checkpoints(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    encoder = encoder_of("bert")
    save_pretrained(tmp_path, encoder)
    tensors = load_file(tmp_path / "model.safetensors")
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    renamed["embeddings.position_ids"] = torch.arange(24)[None]
    save_file(renamed, tmp_path / "model.safetensors")
    assert_same_state(load_encoder(tmp_path).encoder, encoder)


def test_the_pooler_of_pretraining_and_nothing_else(tmp_path: Path) -> None:
    """Ours after next-sentence prediction, and any of Hugging Face's BERTs, under either prefix."""
    encoder = encoder_of("bert")
    heads = PretrainingHeads(
        MaskedLMHead(encoder.config, vocabulary_size=encoder.vocabulary_size),
        NextSentenceHead(encoder.config),
    )
    shake(heads)
    save_pretrained(tmp_path / "ours", encoder, head=heads)
    transformers.BertModel.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "bare")
    for name in ("ours", "bare"):
        pooler = load_pooler(tmp_path / name)
        assert pooler is not None
        assert_same_state(pooler, heads.sentence.pooler)
    save_pretrained(tmp_path / "masked", encoder, head=heads.tokens)
    assert load_pooler(tmp_path / "masked") is None
    for family in ("roberta", "electra"):
        save_pretrained(tmp_path / family, encoder_of(family))
        assert load_pooler(tmp_path / family) is None
    with pytest.raises(UserError, match="roberta has no layout for next_sentence"):
        save_pretrained(tmp_path / "x", encoder_of("roberta"), head=heads)


def test_dropout_can_be_replaced(tmp_path: Path) -> None:
    save_pretrained(tmp_path, encoder_of("electra"))
    encoder, config = load_encoder(tmp_path, dropout=0.2)
    assert (config.dropout, config.attention_dropout) == (0.2, 0.0)
    assert (encoder.blocks[0].dropout, encoder.embeddings.dropout) == (0.2, 0.2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2'"),
        ({"hidden_act": "gelu_new"}, "hidden_act 'gelu_new'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"is_decoder": True}, "is_decoder True"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        ({"num_hidden_layers": 4}, "no tensor"),
        ({"num_hidden_layers": 1}, "layers, config.json says 1"),
        ({"intermediate_size": 81}, "has shape"),
        ({"num_attention_heads": 5}, "num_heads 5"),
        ({"hidden_size": "48"}, "hidden_size is '48'"),
    ],
)
def test_bad_config_is_one_line(change: dict[str, object], told: str, tmp_path: Path) -> None:
    save_pretrained(tmp_path, encoder_of("bert"))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    assert_refused(tmp_path, told)


def test_bad_weights_are_one_line(tmp_path: Path) -> None:
    save_pretrained(tmp_path / "good", encoder_of("bert"))

    def copy(name: str) -> Path:
        return Path(shutil.copytree(tmp_path / "good", tmp_path / name))

    assert_refused(tmp_path / "nowhere", "no such file")
    assert_refused(tmp_path / "good" / "config.json", "no such file")
    pickled = copy("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert_refused(pickled, "pickle")
    cut = copy("cut")
    data = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(data[: len(data) // 2])
    assert_refused(cut, "not safetensors")
    text = copy("text")
    (text / "config.json").write_text("{")
    assert_refused(text, "not JSON")
    outside = copy("outside")
    (outside / "model.safetensors").unlink()
    (outside / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "../good/model.safetensors"}}'
    )
    assert_refused(outside, "outside the folder")
    with pytest.raises(UserError, match="no sequence classifier"):
        load_sequence_classifier(tmp_path / "good")


def test_family_without_the_head(tmp_path: Path) -> None:
    encoder = encoder_of("roberta")
    with pytest.raises(UserError, match="electra"):
        save_pretrained(tmp_path, encoder, head=DiscriminatorHead(encoder.config))


def assert_refused(folder: Path, told: str) -> None:
    with pytest.raises(UserError) as caught:
        load_encoder(folder)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def assert_same_state(ours: nn.Module, theirs: nn.Module) -> None:
    first, second = ours.state_dict(), theirs.state_dict()
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
