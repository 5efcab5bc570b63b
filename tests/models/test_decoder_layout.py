"""Folders of decoders: what we write transformers loads whole, what it writes we load alike."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from seedbed.config import UserError
from seedbed.models import load_decoder, load_encoder, save_decoder, save_pretrained
from seedbed.models.gpt import GPTNeoConfig
from tests.models.decoders import GPTS, shaken, small_gpt, streams
from tests.models.families import BPE, WORDPIECE, small
from tests.models.test_interchange import assert_same_state

EVERY = pytest.mark.parametrize("name", GPTS)
SIZES = {"n_positions": 26, "n_embd": 24, "n_layer": 2, "n_head": 2}
THEIRS: dict[str, transformers.PreTrainedConfig] = {
    "gpt1": transformers.OpenAIGPTConfig(vocab_size=97, **SIZES),
    "gpt2": transformers.GPT2Config(vocab_size=97, n_inner=40, eos_token_id=3, bos_token_id=3, **SIZES),
    "gpt_neo": transformers.GPTNeoConfig(
        vocab_size=97, max_position_embeddings=26, hidden_size=24, num_layers=4, num_heads=2, window_size=3,
        attention_types=[[["global"], 1], [["local"], 2], [["global"], 1]],
    ),
    "gpt_j": transformers.GPTJConfig(vocab_size=97, rotary_dim=4, **SIZES),
}  # fmt: skip


@EVERY
def test_transformers_loads_it_with_no_key_missing_or_left_over(name: str, tmp_path: Path) -> None:
    decoder, rows_BL = shaken(name), streams()
    save_decoder(tmp_path, decoder)
    model, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert [type(model).__name__] == model.config.architectures
    assert model.config.eos_token_id == decoder.end_id == 2
    with torch.no_grad():
        ours, theirs = decoder.logits(decoder(rows_BL)), model.eval()(rows_BL).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@EVERY
def test_round_trip_to_the_bit(name: str, tmp_path: Path) -> None:
    decoder = shaken(name)
    save_decoder(tmp_path / "a", decoder)
    loaded = load_decoder(tmp_path / "a")
    assert loaded.config == decoder.config
    assert (loaded.vocabulary_size, loaded.end_id, loaded.pad_id) == (211, 2, 1)
    assert_same_state(loaded, decoder)
    save_decoder(tmp_path / "b", loaded)
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@EVERY
def test_folder_written_by_transformers(name: str, tmp_path: Path) -> None:
    """Whole, in shards, with the defaults left out of config.json, and as the class without a head."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(THEIRS[name]).eval()
    rows_BL = streams() % 97
    with torch.no_grad():
        theirs = model(rows_BL).logits
    for place, size in (("whole", "1GB"), ("shards", "20KB")):
        model.save_pretrained(tmp_path / place, max_shard_size=size)
        decoder = load_decoder(tmp_path / place).eval()
        with torch.no_grad():
            torch.testing.assert_close(decoder.logits(decoder(rows_BL)), theirs, rtol=1e-5, atol=1e-5)
    assert (tmp_path / "shards" / "model.safetensors.index.json").is_file()
    assert decoder.end_id == THEIRS[name].eos_token_id
    model.transformer.save_pretrained(tmp_path / "bare")
    if name == "gpt_j":
        with pytest.raises(UserError, match=r"no tensor lm_head\.weight; give a causal LM"):
            load_decoder(tmp_path / "bare")
    else:
        assert_same_state(load_decoder(tmp_path / "bare"), decoder)


def test_layers_of_gpt_neo_keep_their_order(tmp_path: Path) -> None:
    transformers.AutoModelForCausalLM.from_config(THEIRS["gpt_neo"]).save_pretrained(tmp_path / "theirs")
    config = load_decoder(tmp_path / "theirs").config
    assert isinstance(config, GPTNeoConfig)
    assert config.pattern == ("global", "local", "local", "global")
    repeated = small_gpt("gpt_neo", num_layers=6, pattern=["global", "local", "local"])
    save_decoder(tmp_path / "ours", repeated.build(BPE))
    theirs = transformers.AutoConfig.from_pretrained(tmp_path / "ours")
    assert theirs.attention_layers == 2 * ["global", "local", "local"]
    assert load_decoder(tmp_path / "ours").config == repeated


def test_published_gpt2_names_have_no_prefix_and_hold_masks(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    decoder = shaken("gpt2")
    save_decoder(tmp_path, decoder)
    tensors = load_file(tmp_path / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    bare["h.0.attn.bias"] = torch.ones(1, 1, 24, 24).tril()
    save_file(bare, tmp_path / "model.safetensors")
    assert_same_state(load_decoder(tmp_path), decoder)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("gpt2", {"model_type": "llama"}, "model_type 'llama' is no decoder; allowed: openai-gpt, gpt2, gpt_neo, gptj"),
        ("gpt2", {"activation_function": "relu"}, "activation_function 'relu'; only 'gelu_new' and"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx True"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention True"),
        ("gpt2", {"tie_word_embeddings": False}, "tie_word_embeddings False"),
        ("gpt_j", {"tie_word_embeddings": True}, "tie_word_embeddings True"),
        ("gpt1", {"afn": "relu"}, "afn 'relu'"),
        ("gpt2", {"auto_map": {"AutoModel": "evil.Model"}}, "auto_map asks to run code"),
        ("gpt2", {"n_layer": 5}, "no tensor transformer.h.4.attn.c_attn.weight"),
        ("gpt2", {"n_layer": 1}, "layers, config.json says 1"),
        ("gpt2", {"n_inner": 81}, "has shape"),
        ("gpt2", {"n_embd": "48"}, "hidden_size"),
        ("gpt2", {"eos_token_id": [2, 3]}, "eos is [2, 3], expected a number"),
        ("gpt2", {"vocab_size": 210}, "has shape"),
        ("gpt_neo", {"attention_types": "local"}, "attention_types 'local'"),
        ("gpt_neo", {"attention_types": [[["sparse"], 4]]}, "pattern"),
    ],
)  # fmt: skip
def test_bad_config_is_one_line(name: str, change: dict[str, object], told: str, tmp_path: Path) -> None:
    save_decoder(tmp_path, shaken(name))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    assert_refused(tmp_path, told)


def test_pickles_and_encoders_are_refused(tmp_path: Path) -> None:
    save_decoder(tmp_path / "good", shaken("gpt2"))
    pickled = Path(shutil.copytree(tmp_path / "good", tmp_path / "pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert_refused(pickled, "pickle, which can run code")
    save_pretrained(tmp_path / "encoder", small("bert").build(WORDPIECE))
    assert_refused(tmp_path / "encoder", "model_type 'bert' is no decoder")
    with pytest.raises(UserError, match="model_type 'gpt2'; allowed: bert, electra, roberta"):
        load_encoder(tmp_path / "good")


def assert_refused(folder: Path, told: str) -> None:
    with pytest.raises(UserError) as caught:
        load_decoder(folder)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
