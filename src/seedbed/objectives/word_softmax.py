"""The softmax over a large vocabulary of words: all of it, or a sample of it in training.

The sampled softmax (Jean et al. 2015, arXiv 1412.2007, section 3) with the candidates of
tf.nn.sampled_softmax_loss, as ELMo trains (arXiv 1602.02410, section 3.1; 8,192 in its released options).
Shapes: N positions, D size of their vectors, V words, S sampled words.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import Strict, UserError
from seedbed.data.randomness import uniform
from seedbed.models.vocabulary_loss import vocabulary_loss


class FullSoftmaxConfig(Strict):
    """Every word of the vocabulary."""

    name: Literal["full_softmax"]

    def draw(self, size: int, *, first: int, seed: int) -> dict[str, Tensor]:
        """What a batch whose first row draws under number `first` needs of chance: nothing."""
        return {}

    def total(
        self,
        output: nn.Linear,
        hidden_ND: Tensor,
        labels_N: Tensor,
        drawn: Mapping[str, Tensor],
        *,
        direction: int,
    ) -> Tensor:
        """The summed loss of the labels."""
        return vocabulary_loss(hidden_ND, output.weight, output.bias, labels_N).total


class SampledSoftmaxConfig(Strict):
    """The label against `num_samples` words, another sample for each micro-batch and direction.

    They are drawn without repetition, more frequent ones more often (ids follow frequency), and each logit is
    lowered by the log of how often its word was to be expected. Validation takes the full softmax.
    """

    name: Literal["sampled_softmax"]
    num_samples: int = Field(8192, ge=1)

    def draw(self, size: int, *, first: int, seed: int) -> dict[str, Tensor]:
        """`negatives` (2, S), and how many draws gave them, `tries` (2,): functions of (seed, first)."""
        if 2 * self.num_samples > size:
            raise UserError(
                f"objective.softmax.num_samples: {self.num_samples} of {size} words are more than half; "
                "lower it or take softmax full_softmax"
            )
        found = [
            log_uniform(
                self.num_samples,
                size,
                lambda attempt, stream=stream: uniform(  # type: ignore[misc]
                    seed, f"{stream} {attempt}", first, 1, 4 * self.num_samples
                )[0],
            )
            for stream in ("forward negatives", "backward negatives")
        ]
        return {
            "negatives": torch.from_numpy(np.stack([sampled.words_S for sampled in found])),
            "tries": torch.tensor([sampled.tries for sampled in found]),
        }

    def total(
        self,
        output: nn.Linear,
        hidden_ND: Tensor,
        labels_N: Tensor,
        drawn: Mapping[str, Tensor],
        *,
        direction: int,
    ) -> Tensor:
        """The summed loss of the labels among the sample; a label that was sampled too counts once."""
        negatives_S, tries = drawn["negatives"][direction], drawn["tries"][direction]
        size = len(output.weight)
        true_N = (hidden_ND * F.embedding(labels_N, output.weight)).sum(-1) + output.bias[labels_N]
        sampled_NS = F.linear(hidden_ND, F.embedding(negatives_S, output.weight), output.bias[negatives_S])
        true_N = true_N - expected(labels_N, size, tries).log()
        sampled_NS = sampled_NS - expected(negatives_S, size, tries).log()
        sampled_NS = sampled_NS.masked_fill(negatives_S == labels_N[:, None], -torch.inf)
        return (torch.cat([true_N[:, None], sampled_NS], 1).logsumexp(1) - true_N).sum()


Softmax = Annotated[FullSoftmaxConfig | SampledSoftmaxConfig, Field(discriminator="name")]


class Sampled(NamedTuple):
    """Distinct words, and the number of draws after which there were enough of them."""

    words_S: npt.NDArray[np.int64]
    tries: int


def log_uniform(num_samples: int, size: int, uniforms: Callable[[int], npt.NDArray[np.float64]]) -> Sampled:
    """Words drawn in turn at P(k) = ln((k + 2) / (k + 1)) / ln(size + 1) until `num_samples` are distinct.

    `uniforms(attempt)` gives the numbers to draw by, more of them at each attempt from 0.
    """
    drawn = np.empty(0, dtype=np.int64)
    for attempt in range(1000):
        words = np.exp(uniforms(attempt) * np.log(size + 1)).astype(np.int64) - 1
        drawn = np.concatenate([drawn, np.minimum(words, size - 1)])
        _, firsts = np.unique(drawn, return_index=True)
        if len(firsts) >= num_samples:
            chosen_S = np.sort(firsts)[:num_samples]
            return Sampled(drawn[chosen_S], int(chosen_S[-1]) + 1)
    raise AssertionError("a sample of at most half of the words comes to its end")


def expected(words: Tensor, size: int, tries: Tensor) -> Tensor:
    """How often each word is to be expected among the distinct words of `tries` draws."""
    ranks = words.double()
    chances = torch.log((ranks + 2) / (ranks + 1)) / np.log(size + 1)
    return -torch.expm1(tries * torch.log1p(-chances)).float()
