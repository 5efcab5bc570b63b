"""The training loop. Importing this stays light; Lightning is loaded by `seedbed.training.trainer` alone."""

from seedbed.config import Interrupted
from seedbed.training.recipe import Training
from seedbed.training.validation import Precision, autocast, predict_scores

__all__ = ["Interrupted", "Precision", "Training", "autocast", "predict_scores"]
