"""Decoders: the numbers of transformers' classes, nothing from the future, first weights, sizes."""

import json
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
import transformers
import yaml
from torch import nn
from torch.nn import functional as F
from transformers.models.gpt_neo import modeling_gpt_neo
from transformers.models.gptj import modeling_gptj

from seedbed.config import UserError
from seedbed.models import Decoder, DecoderConfig, save_decoder
from seedbed.models.decoder_layout import decoder_tensors, family_of, from_config
from seedbed.models.vocabulary_loss import vocabulary_loss
from tests.models.decoders import GPTS, KINDS, shaken, small_gpt, streams
from tests.models.families import BPE
from tests.models.test_reference import (
    EXACT,
    as_gradients,
    assert_close,
    assert_same_gradients,
    gradients,
)

CONF = Path(__file__).resolve().parents[2] / "conf" / "decoder"
EVERY = pytest.mark.parametrize("name", GPTS)


class InDouble:
    """torch, but whoever asks it for float32 gets float64.

    The classes of GPT-Neo and GPT-J turn queries and keys to fp32 inside their attention, whatever type the
    model has: with this in place of the name `torch` in their module the same code runs in fp64.
    """

    float32 = torch.float64

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)


def reference(name: str, folder: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    architecture = family_of(small_gpt(name))[1].architecture
    model = getattr(transformers, architecture).from_pretrained(folder, attn_implementation="eager")
    modules: dict[str, ModuleType] = {"gpt_neo": modeling_gpt_neo, "gpt_j": modeling_gptj}
    if dtype == torch.float64 and name in modules:
        monkeypatch.setattr(modules[name], "torch", InDouble())
    return model.to(dtype).eval()


@EVERY
@EXACT
def test_logits_loss_and_gradients(
    name: str, dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = shaken(name, dtype=dtype)
    save_decoder(tmp_path, decoder)
    other = reference(name, tmp_path, dtype, monkeypatch)
    rows_BL = streams()

    hidden_BLD = decoder(rows_BL)
    features_ND, labels_N = hidden_BLD[:, :-1].flatten(0, 1), rows_BL[:, 1:].flatten()
    loss = vocabulary_loss(features_ND, *decoder.output_weights(), labels_N).total / len(labels_N)
    loss.backward()
    theirs = other(input_ids=rows_BL, labels=rows_BL)
    # theirs.loss turns the logits to fp32: the formula of that class in `dtype`
    their_loss = F.cross_entropy(theirs.logits[:, :-1].flatten(0, 1), labels_N)
    assert_close(their_loss.float(), theirs.loss, torch.float32, "their loss")
    their_loss.backward()

    assert_close(decoder.logits(hidden_BLD), theirs.logits, dtype, "logits")
    assert_close(loss, their_loss, dtype, "loss")
    as_gradients(decoder)
    assert_same_gradients(decoder_tensors(decoder.state_dict(), decoder.config), gradients(other), dtype)


@EVERY
def test_no_token_is_known_before_it_comes(name: str) -> None:
    """Changing token t changes no logit before t, to the bit, and some at t and behind."""
    decoder = shaken(name)
    rows_BL = streams(num_rows=1)
    with torch.no_grad():
        before = decoder.logits(decoder(rows_BL))
        for place in range(rows_BL.shape[1]):
            changed = rows_BL.clone()
            changed[0, place] = 5 + (changed[0, place] - 4) % 200
            after = decoder.logits(decoder(changed))
            same_L = (after == before)[0].all(-1)
            assert same_L[:place].all() and not same_L[place], place


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_window_passes_no_gradient_from_outside(num_layers: int) -> None:
    """Of n local layers of window w, position t depends on t - n (w - 1) .. t, and on nothing else."""
    decoder = shaken("gpt_neo", num_layers=num_layers, pattern=["local"], dtype=torch.float64)
    row = torch.arange(10, 30)
    for place in range(len(row)):
        decoder.zero_grad()
        decoder(row[None])[0, place].square().sum().backward()
        assert decoder.token.weight.grad is not None
        touched = decoder.token.weight.grad[row].abs().sum(-1) > 0
        first = max(0, place - 4 * num_layers)
        expected = [first <= other <= place for other in range(len(row))]
        assert touched.tolist() == expected, place


def test_global_layers_between_windows_read_everything() -> None:
    decoder = shaken("gpt_neo", dtype=torch.float64)
    row = torch.arange(10, 30)
    decoder(row[None])[0, -1].square().sum().backward()
    assert decoder.token.weight.grad is not None
    assert (decoder.token.weight.grad[row].abs().sum(-1) > 0).all()


@EVERY
def test_padding_at_the_end_and_selection_change_nothing(name: str) -> None:
    decoder = shaken(name, dtype=torch.float64)
    rows_BL = streams()
    padded = F.pad(rows_BL, (0, 4), value=BPE.pad_id)
    chosen_N = torch.tensor([0, 3, 19, 20, 61, 99])
    with torch.no_grad():
        hidden = decoder(rows_BL)
        torch.testing.assert_close(decoder(padded)[:, :20], hidden, rtol=0, atol=1e-12)
        selected = decoder(rows_BL, selected_N=chosen_N)
    torch.testing.assert_close(selected, hidden.flatten(0, 1)[chosen_N], rtol=0, atol=1e-12)


RESIDUAL = {
    "gpt1": 0.02,
    "gpt2": 0.02 / math.sqrt(2 * 4),  # section 2.3: 1 / sqrt(N), two residual layers a block
    "gpt_neo": 0.02 / math.sqrt(4),
    "gpt_j": 2 / (4 * math.sqrt(256)),
}


@EVERY
def test_first_weights(name: str) -> None:
    config = small_gpt(name, hidden_size=256, intermediate_size=1024)
    first, again, other = (config.build(BPE, seed=seed).state_dict() for seed in (1, 1, 2))
    residual = 0
    for key, tensor in first.items():
        assert torch.equal(tensor, again[key]), key
        if key.endswith("bias"):
            assert not tensor.any(), key
        elif "norm" in key:
            assert (tensor == 1).all(), key
        else:
            writes = key.endswith("_out.weight")
            residual += writes
            spread = RESIDUAL[name] if writes else 0.02
            # of n draws the standard deviation is known to 1 / sqrt(2 n): five of these
            assert abs(float(tensor.std()) / spread - 1) < 5 / math.sqrt(2 * tensor.numel()), key
            assert abs(float(tensor.mean())) < 5 * spread / math.sqrt(tensor.numel()), key
            assert not torch.equal(tensor, other[key]), key
    assert residual == 2 * config.num_layers


def test_gpt2_starts_like_transformers() -> None:
    """The same spreads as their GPT-2 class draws, parameter by parameter."""
    torch.manual_seed(0)
    written = transformers.GPT2Config(vocab_size=211, n_positions=64, n_embd=256, n_layer=4, n_head=4)
    theirs = dict(transformers.GPT2LMHeadModel(written).named_parameters())
    config = small_gpt("gpt2", hidden_size=256, intermediate_size=1024, max_length=64)
    for key, tensor in decoder_tensors(config.build(BPE).state_dict(), config).items():
        assert float(tensor.std()) == pytest.approx(float(theirs[key].detach().std()), rel=0.05, abs=1e-9), (
            key
        )


@EVERY
def test_dropout_follows_the_seed_and_eval_ends_it(name: str) -> None:
    rates = {"embedding_dropout": 0.3, "dropout": 0.3, "attention_dropout": 0.3}
    for rate in rates:
        decoder = small_gpt(name, **{rate: 0.3}).build(BPE)
        rows_BL = streams()
        torch.manual_seed(0)
        first, second = decoder(rows_BL), decoder(rows_BL)
        torch.manual_seed(0)
        assert torch.equal(first, decoder(rows_BL))
        assert not torch.equal(first, second), f"{rate} does nothing"
        decoder.eval()
        state = torch.get_rng_state()
        assert torch.equal(decoder(rows_BL), decoder(rows_BL))
        assert torch.equal(state, torch.get_rng_state())


PUBLISHED = {
    "gpt1": transformers.OpenAIGPTConfig(),
    "gpt2_small": transformers.GPT2Config(),
    "gpt_neo_125m": transformers.GPTNeoConfig(
        hidden_size=768, num_layers=12, num_heads=12, attention_types=[[["global", "local"], 6]]
    ),
    "gpt_j_6b": transformers.GPTJConfig(),
}


def conf(path: Path) -> DecoderConfig:
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    return KINDS[written["name"]].parse(written, path.stem)


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_conf_file_is_a_decoder(path: Path) -> None:
    assert path.stem.startswith(conf(path).model_dump()["name"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str, tmp_path: Path) -> None:
    """As many parameters as the class that loads the published checkpoint, under the same keys."""
    config, written = conf(CONF / f"{name}.yaml"), PUBLISHED[name]
    with torch.device("meta"):
        decoder = Decoder(config, vocabulary_size=written.vocab_size)
        other = transformers.AutoModelForCausalLM.from_config(written)
    ours = {key: tensor.shape for key, tensor in decoder_tensors(decoder.state_dict(), config).items()}
    assert ours == {key: tensor.shape for key, tensor in other.named_parameters()}
    (tmp_path / "config.json").write_text(json.dumps(written.to_dict()))
    assert from_config(written.to_dict(), tmp_path) == config, "the configuration file is theirs"


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("gpt2", {"num_heads": 5}, "does not divide"),
        ("gpt1", {"intermediate_size": 100}, "GPT-1 has 4 hidden_size, 192"),
        ("gpt_neo", {"num_layers": 3}, "num_layers 3 does not divide by the 2 layers of pattern"),
        ("gpt_neo", {"pattern": ["global", "everything"]}, "pattern"),
        ("gpt_j", {"rotary_size": 14}, "rotary_size 14 is more than a head has, 12"),
        ("gpt_j", {"rotary_size": 5}, "multiple of 2"),
        ("gpt2", {"rotary_size": 4}, "unknown key"),
        ("gpt2", {"vocab_size": 8192}, "unknown key"),
    ],
)
def test_bad_config(name: str, changes: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        small_gpt(name, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt1", "gpt2_small", "gpt_neo_125m"])
def test_published_size_on_long_rows(name: str, tmp_path: Path) -> None:
    """Twelve layers of width 768 over rows longer than a window and than a stretch of queries."""
    decoder = conf(CONF / f"{name}.yaml").build(BPE, seed=3).eval()
    save_decoder(tmp_path, decoder)
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    rows_BL = streams(num_rows=1, length=min(700, decoder.config.max_length))
    with torch.no_grad():
        theirs = other(rows_BL).logits
        assert_close(decoder.logits(decoder(rows_BL)), theirs, torch.float32, "logits")
        cache = decoder.cache(1)
        parts = torch.cat([decoder(part_BL, cache=cache) for part_BL in rows_BL.split(300, 1)], 1)
        assert_close(decoder.logits(parts), theirs, torch.float32, "logits by parts")
