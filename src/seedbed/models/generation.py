"""Text from a decoder, one token after another: greedy, by temperature, from the top k or the top p.

Top k: Fan et al. 2018 (arXiv 1805.04833, section 5.4); top p: Holtzman et al. 2020 (arXiv 1904.09751,
section 3.1). Shapes: B rows, L positions, V vocabulary.
"""

from collections.abc import Callable, Iterator

import torch
from pydantic import Field
from torch import Tensor

from seedbed.config import Strict, UserError
from seedbed.models.decoder import Decoder
from seedbed.models.vocabulary_loss import sample

Uniforms = Callable[[int], Tensor]
"""Number of the step to uniforms_B in [0, 1): one for each row."""


class Sampling(Strict):
    """Which of the likely tokens comes next; applied in this order, as transformers does."""

    temperature: float = Field(1.0, ge=0, description="divides the logits; 0 takes the likeliest token")
    top_k: int | None = Field(None, ge=1, description="only the k likeliest tokens, and ties of the last")
    top_p: float = Field(
        1.0, gt=0, le=1, description="only the fewest likeliest tokens whose chances sum to p or more"
    )

    def chances(self, logits_BV: Tensor) -> Tensor:
        """chances_BV of the next token, in at least fp32."""
        logits_BV = logits_BV.to(torch.promote_types(logits_BV.dtype, torch.float32))
        if self.temperature == 0:
            likeliest_B1 = logits_BV.argmax(-1, keepdim=True)
            return torch.zeros_like(logits_BV).scatter_(1, likeliest_B1, 1.0)
        logits_BV = logits_BV / self.temperature
        if self.top_k is not None:
            last_B1 = logits_BV.topk(min(self.top_k, logits_BV.shape[1])).values[:, -1:]
            logits_BV = logits_BV.masked_fill(logits_BV < last_B1, float("-inf"))
        if self.top_p < 1:
            sorted_BV, order_BV = logits_BV.sort(descending=True, stable=True)
            chances_BV = sorted_BV.softmax(-1)
            likelier_BV = chances_BV.cumsum(-1) - chances_BV
            excluded_BV = torch.empty_like(likelier_BV, dtype=torch.bool)
            excluded_BV.scatter_(1, order_BV, likelier_BV >= self.top_p)
            logits_BV = logits_BV.masked_fill(excluded_BV, float("-inf"))
        return logits_BV.softmax(-1)

    def next_tokens(self, logits_BV: Tensor, uniforms_B: Tensor) -> Tensor:
        """tokens_B, each a function of its row's logits and uniform."""
        return sample(self.chances(logits_BV), uniforms_B)


@torch.no_grad()
def generate(
    decoder: Decoder, prompt_BL: Tensor, *, num_tokens: int, sampling: Sampling, uniforms: Uniforms
) -> Iterator[Tensor]:
    """tokens_B of each step, at most `num_tokens`; a row that has ended goes on with its end token.

    Stops early when every row has ended. Every token is read once: keys and values are kept. The
    decoder should be in eval mode. Raises UserError when the positions do not suffice.
    """
    num_rows, length = prompt_BL.shape
    assert length > 0, "a prompt of no tokens: begin with the end token"
    if length + num_tokens > decoder.config.max_length:
        raise UserError(
            f"a prompt of {length} tokens and {num_tokens} more do not fit the {decoder.config.max_length} "
            "positions of this decoder; shorten the prompt or ask for fewer tokens"
        )
    cache = decoder.cache(num_rows, capacity=length + num_tokens)
    ended_B = torch.zeros(num_rows, dtype=torch.bool, device=prompt_BL.device)
    unread_BL = prompt_BL
    for step in range(num_tokens):
        last_B = torch.arange(1, num_rows + 1, device=prompt_BL.device) * unread_BL.shape[1] - 1
        logits_BV = decoder.logits(decoder(unread_BL, cache=cache, selected_N=last_B))
        tokens_B = sampling.next_tokens(logits_BV, uniforms(step).to(prompt_BL.device))
        if decoder.end_id is not None:
            tokens_B = tokens_B.masked_fill(ended_B, decoder.end_id)
            ended_B |= tokens_B == decoder.end_id
        yield tokens_B
        if ended_B.all():
            return
        unread_BL = tokens_B[:, None]
