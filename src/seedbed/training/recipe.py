"""What a training run is told: steps, global batch, precision, optimizer and schedule."""

from typing import Self

from pydantic import Field, model_validator

from seedbed.config import Machine, Strict, UserError
from seedbed.fidelity import Deviation
from seedbed.training.averaging import Averaging
from seedbed.training.optim import Optimizer
from seedbed.training.schedules import Schedule
from seedbed.training.selection import BestConfig
from seedbed.training.stopping import PatienceConfig
from seedbed.training.unfreezing import Unfreezing
from seedbed.training.validation import Precision


class Training(Strict):
    """Everything about the loop that may change a digit. One step is one optimizer step."""

    max_steps: int = Field(ge=1)
    global_batch_size: int = Field(ge=1, description="examples per step over all devices")
    seed: int = Field(ge=0)
    precision: Precision
    optimizer: Optimizer
    schedule: Schedule
    gradient_clip: float = Field(1.0, gt=0, description="largest global gradient norm")
    averaging: Averaging | None = Field(
        None, description="weights that are validated and saved in place of the last step's; null: those"
    )
    unfreezing: Unfreezing | None = Field(
        None, description="layers that begin to learn later than the head; null: all at once"
    )
    log_every: int = Field(50, ge=1)
    validate_every: int = Field(
        0,
        ge=0,
        description="steps between validations, the first before step 1; 0 validates at the end alone",
    )

    stopping: PatienceConfig | None = Field(
        None,
        description="when to end before max_steps, for which the schedule stays laid out; null: never",
    )
    selection: BestConfig | None = Field(
        None, description="the validation whose weights are the result; null: the last step's"
    )

    @model_validator(mode="after")
    def _check_stopping(self) -> Self:
        if self.stopping and not self.validate_every:
            raise ValueError("stopping looks at validations, and validate_every is 0; give validate_every")
        if self.stopping and self.averaging and self.averaging.first_step(self.max_steps) > 1:
            raise ValueError(
                f"averaging {self.averaging.name} begins near max_steps, which stopping may never reach; "
                "use averaging ema, or leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _check_selection(self) -> Self:
        if self.selection and not self.validate_every:
            raise ValueError("selection is among validations, and validate_every is 0; give validate_every")
        if self.selection and self.averaging and self.averaging.first_step(self.max_steps) > 1:
            raise ValueError(
                f"averaging {self.averaging.name} begins near max_steps, selection may choose weights from "
                "before; use averaging ema, or leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        self.schedule.check(max_steps=self.max_steps, validate_every=self.validate_every)
        return self

    @model_validator(mode="after")
    def _check_averaging(self) -> Self:
        first = self.averaging.first_step(self.max_steps) if self.averaging else 1
        if first < 1:
            raise ValueError(
                f"averaging reaches {1 - first} steps further back than max_steps {self.max_steps}; "
                "lower its count or every_steps"
            )
        return self


def accumulation(recipe: Training, machine: Machine, example_tokens: int, where: str) -> int:
    """Micro-batches per step, so that none holds more than the machine's `tokens_per_device`.

    Raises UserError when the global batch does not divide evenly.
    """
    world = machine.world_size
    tokens = recipe.global_batch_size * example_tokens
    count = max(1, -(-tokens // (world * machine.tokens_per_device)))
    if recipe.global_batch_size % world:
        raise UserError(
            f"{where}: global_batch_size {recipe.global_batch_size} does not divide over "
            f"{machine.devices} devices x {machine.num_nodes} nodes; choose a multiple of {world}"
        )
    share = recipe.global_batch_size // world
    while count <= share and share % count:
        count += 1
    if count > share:
        raise UserError(
            f"{where}: one example of {example_tokens} tokens is more than tokens_per_device "
            f"{machine.tokens_per_device} (global_batch_size {recipe.global_batch_size} over {world} "
            "devices); raise tokens_per_device in the machine file"
        )
    return count


DEVIATIONS = (
    Deviation(
        system="BERT",
        theirs="The official optimizer leaves out Adam's correction of the first steps' bias.",
        ours="Torch's AdamW corrects it.",
        why="It is Adam as published, and fused. Behind a warmup of 10,000 steps little of it is left.",
        source="google-research/bert optimization.py",
    ),
    Deviation(
        system="BERT",
        theirs="The decay begins at step 0 and shows when warmup ends: the rate steps down from the peak to "
        "99 % of it (10,000 of 1,000,000 steps). The first step has rate 0.",
        ours="The decay begins when warmup ends. The first step has the first stride of the warmup; "
        "warmup.start 0 gives it rate 0.",
        why="No jump, and no step is wasted.",
        source="google-research/bert optimization.py",
    ),
    Deviation(
        system="ELECTRA",
        theirs="The official optimizer leaves out Adam's correction of the first steps' bias.",
        ours="Torch's AdamW corrects it.",
        why="As for BERT.",
        source="google-research/electra model/optimization.py",
    ),
    Deviation(
        system="ELECTRA",
        theirs="Warmup multiplies a decay that began at step 0, so the peak is not quite reached.",
        ours="The decay begins when warmup ends.",
        why="The rate of the recipe is the rate that is reached.",
        source="google-research/electra model/optimization.py",
    ),
    Deviation(
        system="RoBERTa",
        theirs="fairseq's Adam decays every parameter, biases and norms too.",
        ours="Weight decay falls on matrices only.",
        why="As BERT and ELECTRA train; the paper does not say.",
        source="fairseq fairseq/optim/adam.py",
    ),
    Deviation(
        system="RoBERTa",
        theirs="Mixed precision in fp16.",
        ours="Mixed precision in bf16, without scaling of the loss; precision fp32 is there.",
        why="bf16 has fp32's range. The optimizer's state and the losses are fp32 in both.",
        source="arXiv 1907.11692, section 3.1",
    ),
    Deviation(
        system="RoBERTa",
        theirs="Gradients are not clipped.",
        ours="gradient_clip of the recipes is 1e9, which no norm reaches.",
        why="The loop always clips; a bound that is never met changes no bit.",
        source="arXiv 1907.11692, appendix, table 9",
    ),
)
