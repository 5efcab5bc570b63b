"""Whole texts: beam search against transformers' and against all texts there are, greedy, chance by row."""

from itertools import product
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from seedbed.models import Decoder, save_decoder
from seedbed.models.decoding import BeamSearchConfig, GreedyConfig, SamplingConfig
from tests.models.decoders import GPTS, shaken, small_gpt, streams
from tests.models.families import BPE

EVERY = pytest.mark.parametrize("name", GPTS)
END = BPE.sep_id


def beams(width: int, length_penalty: float = 1.0) -> BeamSearchConfig:
    return BeamSearchConfig(name="beam_search", width=width, length_penalty=length_penalty)


def prompts() -> Tensor:
    prompt_BL = streams(num_rows=8, length=6, seed=3)
    return prompt_BL.masked_fill(prompt_BL == END, 9)


def inclined(name: str) -> Decoder:
    """A decoder of any family whose chances are spread, and that ends some texts soon, some never."""
    decoder = shaken(name)
    with torch.no_grad():
        if decoder.output is None:
            decoder.token.weight.mul_(0.4)
            mean_D = decoder(prompts()).flatten(0, 1).mean(0)
            decoder.token.weight[END] = mean_D / mean_D.norm() ** 2 + decoder.token.weight[END] * 0.5
        else:
            decoder.output.weight.mul_(0.8)
            decoder.output.bias[END] += 1.0
    return decoder


def nothing(rows: int, num_tokens: int) -> Tensor:
    return torch.zeros(rows, num_tokens)


def until_end(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(END)] if END in tokens else tokens


@EVERY
@pytest.mark.parametrize(("width", "length_penalty"), [(1, 1.0), (3, 1.0), (4, 0.0), (5, 2.0)])
def test_beam_search_is_that_of_transformers(
    name: str, width: int, length_penalty: float, tmp_path: Path
) -> None:
    decoder = inclined(name)
    save_decoder(tmp_path, decoder)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    prompt_BL = prompts()
    found_BT = beams(width, length_penalty).write(
        decoder, prompt_BL, num_tokens=12, uniforms_BT=nothing(8, 12)
    )
    wanted_BL = theirs.generate(
        prompt_BL,
        attention_mask=torch.ones_like(prompt_BL),
        max_new_tokens=12,
        num_beams=width,
        length_penalty=length_penalty,
        early_stopping=False,
        do_sample=False,
    )
    for row in range(8):
        assert until_end(found_BT[row].tolist()) == until_end(wanted_BL[row, 6:].tolist())


@EVERY
def test_some_texts_of_that_comparison_end_and_some_do_not(name: str) -> None:
    found_BT = beams(3).write(inclined(name), prompts(), num_tokens=12, uniforms_BT=nothing(8, 12))
    assert 0 < int((found_BT == END).any(1).sum()) < 8


def test_beams_enough_find_the_likeliest_of_all_texts() -> None:
    """Vocabulary of 7, texts of 3: every text is a beam."""
    vocabulary = BPE.__class__(
        size=7, pad_id=1, unk_id=3, cls_id=0, sep_id=2, mask_id=4, special_ids=(0, 1, 2, 3, 4)
    )
    decoder = small_gpt("gpt2").build(vocabulary).double().eval()
    with torch.no_grad():
        decoder.token.weight.mul_(40)
    prompt_BL = torch.tensor([[5, 6, 5]])
    best: tuple[float, list[int]] = (float("-inf"), [])
    with torch.no_grad():
        for text in product(range(7), repeat=3):
            kept = [*until_end(list(text)), END][:3]
            rows_BL = torch.cat([prompt_BL, torch.tensor([kept])], 1)
            likelihood = decoder.logits(decoder(rows_BL)).log_softmax(-1)[0, 2:-1]
            total = float(likelihood.gather(1, torch.tensor(kept)[:, None]).sum())
            best = max(best, (total, kept))
    found_BT = beams(400, 0.0).write(decoder, prompt_BL, num_tokens=3, uniforms_BT=nothing(1, 3))
    assert found_BT[0].tolist()[: len(best[1])] == best[1]


@EVERY
def test_one_beam_without_penalty_is_greedy_and_rows_know_nothing_of_each_other(name: str) -> None:
    decoder, prompt_BL = inclined(name), prompts()[:5]
    greedy = GreedyConfig(name="greedy").write(decoder, prompt_BL, num_tokens=9, uniforms_BT=nothing(5, 9))
    one = beams(1).write(decoder, prompt_BL, num_tokens=9, uniforms_BT=nothing(5, 9))
    several = beams(3).write(decoder, prompt_BL, num_tokens=9, uniforms_BT=nothing(5, 9))
    for row in range(5):
        assert until_end(greedy[row].tolist()) == until_end(one[row].tolist())
        alone = beams(3).write(decoder, prompt_BL[row : row + 1], num_tokens=9, uniforms_BT=nothing(1, 9))
        assert until_end(alone[0].tolist()) == until_end(several[row].tolist())


def test_chance_is_each_rows_own() -> None:
    decoder, prompt_BL = shaken("gpt2"), streams(length=6)
    uniforms_BT = torch.rand(5, 9, generator=torch.Generator().manual_seed(1))
    sampling = SamplingConfig(name="sampling", temperature=2.0)
    together = sampling.write(decoder, prompt_BL, num_tokens=9, uniforms_BT=uniforms_BT)
    for row in range(5):
        alone = sampling.write(
            decoder, prompt_BL[row : row + 1], num_tokens=9, uniforms_BT=uniforms_BT[row : row + 1]
        )
        assert until_end(alone[0].tolist()) == until_end(together[row].tolist())
    other = sampling.write(decoder, prompt_BL, num_tokens=9, uniforms_BT=uniforms_BT.flip(0))
    assert not torch.equal(other, together)
