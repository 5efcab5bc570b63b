"""Layers of a pretrained encoder that begin anew, because what they learned last is of pretraining's task.

Zhang et al. 2021 (Revisiting few-sample BERT fine-tuning, arXiv 2006.05987), section 5.
"""

from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.data.randomness import derive_seed
from seedbed.models import Encoder


class TopLayersConfig(Strict):
    """The last `count` layers, and BERT's pooler, filled as before pretraining."""

    name: Literal["top_layers"]
    count: int = Field(ge=0, description="layers from the head down; 0: the pooler alone")
    pooler: bool = Field(True, description="BERT's too, where pretraining trained one")

    def apply(self, encoder: Encoder, *, seed: int) -> None:
        """Layer i is a function of (seed, i): the same whatever `count` is."""
        num_layers = len(encoder.blocks)
        if self.count > num_layers:
            raise UserError(
                f"classifier.reinitialise.count: got {self.count}, the backbone has {num_layers} layers; "
                f"give at most {num_layers}"
            )
        for index in range(num_layers - self.count, num_layers):
            encoder.config.initialise(encoder.blocks[index], seed=derive_seed(seed, "layer", index))
