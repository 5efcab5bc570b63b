"""When a run is lost: a loss that is not finite, or one that has climbed far above where it was."""

from collections.abc import Sequence

DIVERGED = 3.0
"""Times the lowest logged loss; only beyond the first logged loss too, so that noise near 0 is no fault."""
SHOWN_EXAMPLES = 8


def non_finite(step: int, names: Sequence[str]) -> str:
    """`step` counts from 0; `names` are the examples of its batch."""
    shown = ", ".join(names[:SHOWN_EXAMPLES])
    more = f" and {len(names) - SHOWN_EXAMPLES} more" if len(names) > SHOWN_EXAMPLES else ""
    return f"the loss of step {step + 1} is not finite; its batch: {shown}{more}"


def divergence(curves: Sequence[tuple[int, str, float]]) -> str | None:
    """Read off the logged training losses alone, so a resumed run decides alike."""
    losses = [(value, step) for step, name, value in curves if name == "train/loss"]
    (last, step), (lowest, lowest_step), (first, _) = losses[-1], min(losses), losses[0]
    if last <= max(first, DIVERGED * lowest):
        return None
    return f"the loss has diverged: {last:.4g} at step {step}, {lowest:.4g} at step {lowest_step}"
