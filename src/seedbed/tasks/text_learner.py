"""What every task's Learner shares: a network over tokens, and answers read from it.

Shapes: B rows, L positions, C outputs.
"""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seedbed.learner import Batch, Learner

Outputs = npt.NDArray[np.float64]


class TextLearner(Learner, ABC):
    """`classifier` maps (input_ids, attention_mask, token_type_ids) to logits_BC or logits_BLC.

    Where a batch says in which rows it is to be computed (`packed`), that comes fourth.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    @property
    def of_task(self) -> "TextLearner":
        """The task's own Learner, where a network has put another around it."""
        return self

    def network_logits(self, batch: Batch) -> Tensor:
        """The network's numbers in whatever precision.

        A batch brings them as `logits` where the network has a Learner of its own (network_learner.py).
        """
        if "logits" in batch:
            return batch["logits"]
        read = [batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]]
        logits: Tensor = self.classifier(*read, *([batch["packed"]] if "packed" in batch else []))
        return logits

    def logits(self, batch: Batch) -> Tensor:
        """The network's numbers in fp32 (or fp64), whatever the precision they were computed in."""
        logits = self.network_logits(batch)
        return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return {"examples": torch.tensor(len(batch["labels"]))}

    @abstractmethod
    def outputs(self, batch: Batch) -> Tensor:
        """What the task's table is made from, in fp64, the first axis rows."""
