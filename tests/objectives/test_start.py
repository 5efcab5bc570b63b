"""Beginning from checkpoint folders: transformers' own loss before the first step, and what is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from seedbed.config import UserError
from seedbed.data.packing import Ids
from seedbed.objectives import PretrainRecipe
from seedbed.stages.compose import compose_run
from seedbed.tokenization import (
    ByteLevelBPEConfig,
    ExtendedTokenizerConfig,
    Vocabulary,
    WordPieceConfig,
    copy_tokenizer,
    new_tokens,
    save_tokenizer,
)
from tests.data.bilingual import ENGLISH, KOREAN, TEXTS

REPOSITORY = Path(__file__).parents[2]
LENGTH = 20
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
GPT_SIZES = {"n_embd": 24, "n_layer": 2, "n_head": 2, "n_positions": LENGTH}
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
NEO = {
    "hidden_size": 24, "num_layers": 2, "num_heads": 2, "max_position_embeddings": LENGTH, "window_size": 5,
    "attention_types": [[["global", "local"], 1]], "embed_dropout": 0.0, "resid_dropout": 0.0,
    "attention_dropout": 0.0,
}  # fmt: skip
# family -> recipe, class, configuration class, its settings
KINDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "bert": ("bert_tiny", "BertForPreTraining", "BertConfig", {**SIZES, "max_position_embeddings": LENGTH}),
    "bert_masked": (
        "bert_tiny", "BertForMaskedLM", "BertConfig", {**SIZES, "max_position_embeddings": LENGTH}
    ),
    "roberta": (
        "roberta_tiny", "RobertaForMaskedLM", "RobertaConfig",
        {**SIZES, "max_position_embeddings": LENGTH + 2, "type_vocab_size": 1, "pad_token_id": 1,
         "bos_token_id": 0, "eos_token_id": 2, "layer_norm_eps": 1e-5},
    ),
    "electra": (
        "electra_tiny", "ElectraForPreTraining", "ElectraConfig",
        {**SIZES, "embedding_size": 12, "max_position_embeddings": LENGTH},
    ),
    "gpt1": ("gpt1_tiny", "OpenAIGPTLMHeadModel", "OpenAIGPTConfig", {**GPT_SIZES, **NO_DROPOUT}),
    "gpt2": ("gpt2_tiny", "GPT2LMHeadModel", "GPT2Config", {**GPT_SIZES, **NO_DROPOUT}),
    "gpt_neo": ("gpt_neo_tiny", "GPTNeoForCausalLM", "GPTNeoConfig", NEO),
    "gpt_j": ("gpt_j_tiny", "GPTJForCausalLM", "GPTJConfig", {**GPT_SIZES, **NO_DROPOUT, "rotary_dim": 4}),
}  # fmt: skip
WORDPIECES = ("bert", "bert_masked", "electra")
PADDING_ROWS = 7
"""Rows of the matrices beyond the tokenizer, as GPT-J's 50,400 for 50,257 tokens."""


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    wordpiece = WordPieceConfig(name="wordpiece", vocab_size=330, lowercase=True)
    bpe = ByteLevelBPEConfig(name="byte_level_bpe", vocab_size=330)
    for config in (wordpiece, bpe):
        save_tokenizer(config.train(lambda: TEXTS), config, folder=root / config.name)
    return {kind: root / ("wordpiece" if kind in WORDPIECES else "byte_level_bpe") for kind in KINDS}


def written(kind: str, folder: Path, tokenizer: Path, *, shape: str | None = None, **changes: Any) -> Any:
    """A random model of transformers in eval mode, saved by it with a tokenizer."""
    _, model_class, config_class, settings = KINDS[kind]
    size = Vocabulary.load(tokenizer).size + PADDING_ROWS
    config = getattr(transformers, config_class)(vocab_size=size, **{**settings, **changes})
    torch.manual_seed(len(kind))
    model = getattr(transformers, shape or model_class)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # drawn as 0 and 1: nothing may agree by that
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    copy_tokenizer(tokenizer, folder)
    return model


def recipe(kind: str, start: dict[str, Any], **settings: Any) -> PretrainRecipe:
    values = compose_run(REPOSITORY, "pretrain", KINDS[kind][0], {"tokens": "tiny"}, settings)
    values.pop("decoder", None), values.pop("encoder", None)
    if kind == "bert_masked":
        values |= {"objective": {"name": "masked_lm"}, "rows": {"name": "full_sentences"}}
    return PretrainRecipe.parse({**values, "start": start}, where=f"pretrain.{kind}")


def begun(kind: str, folder: Path, tokenizer: Path, **start: Any) -> Any:
    given = recipe(kind, {"checkpoint": str(folder), **start}).resolve(Path)
    learner = given.begin(Vocabulary.load(tokenizer), place=Path, tokenizer_folder=tokenizer)
    return learner.eval()


def text_rows(vocabulary: Vocabulary, *, special: bool) -> Tensor:
    rows_BL = torch.randint(5, vocabulary.size, (4, LENGTH), generator=torch.Generator().manual_seed(0))
    if special:
        rows_BL[:, 0], rows_BL[:, -1] = vocabulary.cls_id, vocabulary.sep_id
    return rows_BL


def masked_batch(kind: str, vocabulary: Vocabulary) -> tuple[dict[str, Tensor], Tensor]:
    """An objective's own batch, and labels as transformers takes them: -100 where nothing is asked."""
    rows_BL: Ids = text_rows(vocabulary, special=True).numpy()
    objective = recipe(kind, {"checkpoint": "x"}).objective
    batch = objective.prepare(vocabulary)(rows_BL, 0, 3)
    labels = torch.full((rows_BL.size,), -100)
    labels[batch["masked_index"]] = batch["labels"]
    return batch, labels.view(rows_BL.shape)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "electra"])
def test_the_first_loss_is_transformers_own(
    kind: str, tokenizers: Mapping[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = tokenizers[kind]
    vocabulary = Vocabulary.load(tokenizer)
    model = written(kind, tmp_path / "theirs", tokenizer)
    learner = begun(kind, tmp_path / "theirs", tokenizer)
    assert "not used" not in capsys.readouterr().out
    if kind.startswith("gpt"):
        rows_BL = text_rows(vocabulary, special=False)
        batch = {"input_ids": rows_BL[:, :-1], "labels": rows_BL[:, 1:]}
        expected = model(input_ids=rows_BL, labels=rows_BL).loss
    else:
        batch, labels = masked_batch(kind, vocabulary)
        inputs: dict[str, Tensor] = {"input_ids": batch["input_ids"], "labels": labels}
        if kind == "bert":
            batch["token_type_ids"] = (torch.arange(LENGTH) > 9).long().expand(4, -1)
            batch["next_sentence_labels"] = torch.tensor([0, 1, 1, 0])
            inputs["token_type_ids"] = batch["token_type_ids"]
            inputs["next_sentence_label"] = batch["next_sentence_labels"]
        expected = model(**inputs).loss
    torch.testing.assert_close(learner.whole_loss(batch)["loss"], expected, rtol=1e-5, atol=1e-6)
    # and back: what is saved is what came, to the bit
    learner.save(tmp_path / "ours")
    ours, theirs = (load_file(tmp_path / side / "model.safetensors") for side in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def electra_pair(tmp_path: Path, tokenizer: Path) -> tuple[Any, Any]:
    """Discriminator and generator with the same embeddings, as the published pairs."""
    discriminator = written("electra", tmp_path / "discriminator", tokenizer)
    narrow = {"hidden_size": 12, "num_attention_heads": 1, "intermediate_size": 48}
    generator = written(
        "electra", tmp_path / "generator", tokenizer, shape="ElectraForMaskedLM", embedding_size=12, **narrow
    )
    generator.electra.embeddings.load_state_dict(discriminator.electra.embeddings.state_dict())
    generator.save_pretrained(tmp_path / "generator")
    return discriminator, generator


def test_the_first_losses_of_electra_are_those_of_its_two_classes(
    tokenizers: Mapping[str, Path], tmp_path: Path
) -> None:
    tokenizer = tokenizers["electra"]
    vocabulary = Vocabulary.load(tokenizer)
    discriminator, generator = electra_pair(tmp_path, tokenizer)
    learner = begun("electra", tmp_path / "discriminator", tokenizer, generator=str(tmp_path / "generator"))
    batch, labels = masked_batch("electra", vocabulary)
    found = learner.whole_loss(batch)
    expected = generator(input_ids=batch["input_ids"], labels=labels).loss
    torch.testing.assert_close(found["generator_loss"], expected, rtol=1e-5, atol=1e-6)
    sampled = learner.generator.predict(batch).sampled_N
    corrupted = batch["input_ids"].flatten().index_copy(0, batch["masked_index"], sampled)
    replaced = torch.zeros(corrupted.numel(), dtype=torch.long)
    replaced[batch["masked_index"]] = (sampled != batch["labels"]).long()
    theirs = discriminator(input_ids=corrupted.view(4, LENGTH), labels=replaced.view(4, LENGTH)).loss
    torch.testing.assert_close(found["discriminator_loss"], theirs, rtol=1e-5, atol=1e-6)
    # our own folder holds both: it needs no second path
    learner.save(tmp_path / "run")
    copy_tokenizer(tokenizer, tmp_path / "run")
    again = begun("electra", tmp_path / "run", tokenizer)
    for name, tensor in learner.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_a_missing_part_begins_anew_only_when_named(tokenizers: Mapping[str, Path], tmp_path: Path) -> None:
    tokenizer = tokenizers["electra"]
    electra_pair(tmp_path, tokenizer)
    discriminator, generator = tmp_path / "discriminator", tmp_path / "generator"
    with pytest.raises(UserError, match=r"give the generator's as start\.generator, or say start\.new"):
        begun("electra", discriminator, tokenizer)
    alone = begun("electra", discriminator, tokenizer, new=["generator"])
    kept = load_file(discriminator / "model.safetensors")["electra.embeddings.word_embeddings.weight"]
    assert torch.equal(alone.generator.encoder.embeddings.token.weight, kept)
    with pytest.raises(UserError, match=r"generator\.hidden_size: 6, but .* has 12"):
        begun("electra", generator, tokenizer, generator=str(generator), new=["detection_head"])
    with pytest.raises(UserError, match=r"no discriminator_predictions\.dense\.bias.*\[detection_head\]"):
        begun("electra", generator, tokenizer, new=["generator"])
    written("electra", tmp_path / "stranger", tokenizer, shape="ElectraForMaskedLM", initializer_range=0.1,
            hidden_size=12, num_attention_heads=1, intermediate_size=48)  # fmt: skip
    with pytest.raises(UserError, match=r"embeddings .*token\.weight, .* are not those of"):
        begun("electra", discriminator, tokenizer, generator=str(tmp_path / "stranger"))

    bare = tmp_path / "bare"
    written("bert", bare, tokenizers["bert"], shape="BertModel")
    with pytest.raises(
        UserError, match=r"no cls\.predictions\.bias, .*LayerNorm.*start\.new: \[token_head\]"
    ):
        begun("bert_masked", bare, tokenizers["bert"])
    learner = begun("bert_masked", bare, tokenizers["bert"], new=["token_head"])
    assert learner.encoder.embeddings.token.weight.equal(
        load_file(bare / "model.safetensors")["embeddings.word_embeddings.weight"]
    )
    written("gpt_j", tmp_path / "gptj", tokenizers["gpt_j"], shape="GPTJModel")
    with pytest.raises(UserError, match=r"no lm_head\.bias, lm_head\.weight; .*start\.new: \[output\]"):
        begun("gpt_j", tmp_path / "gptj", tokenizers["gpt_j"])
    begun("gpt_j", tmp_path / "gptj", tokenizers["gpt_j"], new=["output"])


def test_old_names_are_read(tokenizers: Mapping[str, Path], tmp_path: Path) -> None:
    """gamma and beta of TensorFlow, the tied matrix written once more, the buffer of positions."""
    tokenizer = tokenizers["bert"]
    written("bert", tmp_path, tokenizer)
    tensors = load_file(tmp_path / "model.safetensors")
    expected = begun("bert", tmp_path, tokenizer).state_dict()
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    old["cls.predictions.decoder.weight"] = old["bert.embeddings.word_embeddings.weight"].clone()
    old["bert.embeddings.position_ids"] = torch.arange(LENGTH)
    save_file(old, tmp_path / "model.safetensors")
    found = begun("bert", tmp_path, tokenizer).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    old["cls.predictions.decoder.weight"] += 1
    save_file(old, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"decoder\.weight is not the token embeddings"):
        begun("bert", tmp_path, tokenizer)


def test_what_is_refused(tokenizers: Mapping[str, Path], tmp_path: Path) -> None:
    tokenizer = tokenizers["roberta"]
    folder = tmp_path / "theirs"
    written("roberta", folder, tokenizer)
    weights, config = folder / "model.safetensors", folder / "config.json"
    good, tensors = weights.read_bytes(), load_file(weights)

    def refused(match: str, **start: Any) -> None:
        with pytest.raises(UserError, match=match):
            begun("roberta", folder, tokenizer, **start)

    refused(r"start\.digest: .* has sha256 [0-9a-f]{64}, wanted 0000", digest="0" * 64)
    name = "roberta.encoder.layer.0.output.dense.weight"
    save_file({**tensors, name: torch.full_like(tensors[name], torch.nan)}, weights)
    refused(f"{name} holds NaN or infinity")
    save_file({**tensors, name: tensors[name][:5]}, weights)
    refused(r"has shape \(5, 96\), config.json says \(24, 96\)")
    weights.rename(tmp_path / "outside")
    weights.symlink_to(tmp_path / "outside")
    refused("outside the folder; copy the folder with its content: cp -rL")
    weights.unlink()
    torch.save({}, folder / "pytorch_model.bin")
    refused(r"pytorch_model\.bin is a pickle, which can run code and is never read")
    weights.write_bytes(good)
    told = json.loads(config.read_text())
    config.write_text(json.dumps({**told, "auto_map": {"AutoModel": "evil.Model"}}))
    refused("auto_map asks to run code")
    config.write_text(json.dumps({**told, "pad_token_id": 0}))
    refused(r"pad_token_id 0, the tokenizer has 1|max_position_embeddings|has shape")
    config.write_text(json.dumps(told))
    with pytest.raises(UserError, match=r"digest [0-9a-f]{12}, is not the tokenizer of .* nor extends it"):
        begun("roberta", folder, tokenizers["bert"])
    given = recipe("roberta", {"checkpoint": str(folder)})
    narrow = compose_run(REPOSITORY, "pretrain", "roberta_tiny", {"tokens": "t"}, {})["encoder"]
    with pytest.raises(UserError, match=r"encoder\.hidden_size: \d+, but .* has 24; leave encoder out"):
        PretrainRecipe.parse({**given.model_dump(mode="json"), "encoder": narrow}, "r").resolve(Path)
    with pytest.raises(UserError, match="holds no decoder, which the objective trains"):
        recipe("gpt2", {"checkpoint": str(folder)}).resolve(Path)
    with pytest.raises(UserError, match="start names no folder"):
        recipe("roberta", {})


@pytest.mark.parametrize("kind", ["bert", "electra", "gpt_j"])
def test_new_tokens_begin_as_the_mean_of_what_they_were(kind: str, tmp_path: Path) -> None:
    """Old rows to the bit; embeddings, tied biases and GPT-J's own output alike, padding rows taken first."""
    config = (
        WordPieceConfig(name="wordpiece", vocab_size=300, lowercase=True)
        if kind in WORDPIECES
        else ByteLevelBPEConfig(name="byte_level_bpe", vocab_size=300)
    )
    base, tokenizer = tmp_path / "base", tmp_path / "extended"
    save_tokenizer(config.train(lambda: ENGLISH), config, folder=base)
    written(kind, tmp_path / "theirs", base)
    start = {"new": ["generator"]} if kind == "electra" else {}
    before = begun(kind, tmp_path / "theirs", base, **start).state_dict()
    extended = ExtendedTokenizerConfig(name="extended", checkpoint="base", num_new_tokens=40)
    extended.write(base, lambda: KOREAN, folder=tokenizer)
    after = begun(kind, tmp_path / "theirs", tokenizer, **start).state_dict()
    first, made_of = new_tokens(base, tokenizer)
    assert len(made_of) == 40 and (kind != "gpt_j" or all(made_of))
    grown = {name for name in before if before[name].shape != after[name].shape}
    expected = {
        "bert": {"masked_lm.encoder.embeddings.token.weight", "masked_lm.head.bias"},
        "electra": {"generator.encoder.embeddings.token.weight", "encoder.embeddings.token.weight",
                    "generator.head.bias"},
        "gpt_j": {"decoder.token.weight", "decoder.output.weight", "decoder.output.bias"},
    }  # fmt: skip
    assert grown == expected[kind]
    for name in before.keys() - {name for name in before if name.startswith("generator.")}:
        old, new = before[name], after[name]
        if name not in grown:
            assert torch.equal(old, new), name
            continue
        assert len(old) == first + PADDING_ROWS and len(new) == first + 40
        assert torch.equal(old[:first], new[:first]), name
        for row, pieces in zip(new[first:], made_of, strict=True):
            mean = old[pieces].mean(0) if pieces else old[:first].mean(0)
            torch.testing.assert_close(row, mean, rtol=1e-5, atol=1e-7)
