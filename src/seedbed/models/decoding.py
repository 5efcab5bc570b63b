"""How a whole text is written from a prompt: greedily, by chance, or by the best of several beams.

Shapes: B rows, W beams, C = 2W candidates, L positions of the prompt, T new tokens, V vocabulary.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from seedbed.config import Strict
from seedbed.models.decoder import Decoder
from seedbed.models.generation import Sampling, generate


class DecodingConfig(Strict, ABC):
    """A prompt in, a text out; rows of one batch have prompts of one length."""

    seed: int = Field(0, ge=0, description="of the random numbers, where there are any")

    @abstractmethod
    def write(self, decoder: Decoder, prompt_BL: Tensor, *, num_tokens: int, uniforms_BT: Tensor) -> Tensor:
        """tokens_BT of at most `num_tokens` new ones; behind a row's end token stand only more of it.

        `uniforms_BT` in [0, 1): one for each token of each row, so that no row depends on its batch.
        """


class GreedyConfig(DecodingConfig):
    """The likeliest token, always."""

    name: Literal["greedy"]

    def write(self, decoder: Decoder, prompt_BL: Tensor, *, num_tokens: int, uniforms_BT: Tensor) -> Tensor:
        return _write(decoder, prompt_BL, Sampling(temperature=0.0), num_tokens, uniforms_BT)


class SamplingConfig(Sampling, DecodingConfig):
    """A token by chance, of the likely ones."""

    name: Literal["sampling"]

    def write(self, decoder: Decoder, prompt_BL: Tensor, *, num_tokens: int, uniforms_BT: Tensor) -> Tensor:
        return _write(decoder, prompt_BL, self, num_tokens, uniforms_BT)


class BeamSearchConfig(DecodingConfig):
    """The likeliest text that `width` beams find, its log-likelihood divided by a power of its length.

    Ends when no open beam, at its present length, beats the worst of `width` ended ones: transformers' search
    with `early_stopping=False`.
    """

    name: Literal["beam_search"]
    width: int = Field(4, ge=1)
    length_penalty: float = Field(1.0, ge=0, description="the power; 0 compares log-likelihoods as they are")

    @torch.no_grad()
    def write(self, decoder: Decoder, prompt_BL: Tensor, *, num_tokens: int, uniforms_BT: Tensor) -> Tensor:
        B, W, V = len(prompt_BL), self.width, decoder.vocabulary_size
        length, device = prompt_BL.shape[1], prompt_BL.device
        never, end = float("-inf"), -1 if decoder.end_id is None else decoder.end_id
        first_B1 = torch.arange(B, device=device)[:, None] * W
        cache = decoder.cache(B, capacity=length + num_tokens)
        last_B = torch.arange(1, B + 1, device=device) * length - 1
        hidden = decoder(prompt_BL, cache=cache, selected_N=last_B).repeat_interleave(W, 0)
        cache.select(torch.arange(B, device=device).repeat_interleave(W))
        # all beams begin alike: only the first may be continued
        open_BW = torch.full((B, W), never, device=device, dtype=torch.float64)
        open_BW[:, 0] = 0.0
        texts_BWT = torch.zeros((B, W, num_tokens), dtype=torch.long, device=device)
        ended_BW = torch.full_like(open_BW, never)
        ended_BWT = torch.full_like(texts_BWT, end)
        going_B1 = torch.ones((B, 1), dtype=torch.bool, device=device)
        for step in range(num_tokens):
            logits_RV = decoder.logits(hidden)
            exact = torch.promote_types(logits_RV.dtype, torch.float32)
            likelihood_BWV = logits_RV.to(exact).log_softmax(-1).view(B, W, V)
            total_BC, place_BC = (open_BW[..., None] + likelihood_BWV).flatten(1).topk(min(2 * W, W * V))
            beam_BC, token_BC = place_BC // V, place_BC % V
            texts_BCT = texts_BWT.gather(1, beam_BC[..., None].expand(-1, -1, num_tokens))
            texts_BCT[:, :, step] = token_BC
            stops_BC = (token_BC == end) | (step == num_tokens - 1)
            # only the best W may end: the others are there so that W can go on
            chosen_BC = stops_BC & going_B1 & (torch.arange(total_BC.shape[1], device=device) < W)
            score_BC = (total_BC / (step + 1) ** self.length_penalty).masked_fill(~chosen_BC, never)
            ended_BW, best_BW = torch.cat([ended_BW, score_BC], 1).topk(W)
            finished_BCT = texts_BCT.clone()
            finished_BCT[:, :, step + 1 :] = end
            ended_BWT = torch.cat([ended_BWT, finished_BCT], 1).gather(
                1, best_BW[..., None].expand(-1, -1, num_tokens)
            )
            if step == num_tokens - 1:
                break
            open_BW, kept_BW = total_BC.masked_fill(stops_BC, never).topk(W)
            texts_BWT = texts_BCT.gather(1, kept_BW[..., None].expand(-1, -1, num_tokens))
            hopes_B1 = open_BW[:, :1] / (step + 1) ** self.length_penalty
            going_B1 &= hopes_B1 > ended_BW.min(1, keepdim=True).values
            if not going_B1.any():
                break
            cache.select((first_B1 + beam_BC.gather(1, kept_BW)).flatten())
            unread_R1 = texts_BWT[:, :, step].reshape(-1, 1)
            selected_R = torch.arange(B * W, device=device)
            hidden = decoder(unread_R1, cache=cache, selected_N=selected_R)
        return ended_BWT[:, 0]


def _write(
    decoder: Decoder, prompt_BL: Tensor, sampling: Sampling, num_tokens: int, uniforms_BT: Tensor
) -> Tensor:
    steps = generate(
        decoder,
        prompt_BL,
        num_tokens=num_tokens,
        sampling=sampling,
        uniforms=lambda step: uniforms_BT[:, step],
    )
    return torch.stack(list(steps), 1)


Decoding = Annotated[GreedyConfig | SamplingConfig | BeamSearchConfig, Field(discriminator="name")]
