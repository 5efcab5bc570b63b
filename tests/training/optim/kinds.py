"""One optimizer of each kind, with the state it can have."""

from typing import Any

KINDS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
    "adagrad": {"learning_rate": 0.05},
    "rmsprop": {"learning_rate": 0.01, "momentum": 0.5, "centered": True},
    "adam": {"learning_rate": 0.02},
    "adamw": {"learning_rate": 0.02},
    "lamb": {"learning_rate": 0.02},
    "muon": {
        "learning_rate": 0.02, "rate_adjustment": "original", "others": {"learning_rate": 0.01},
        "others_below": ["head", "second"],
    },
}  # fmt: skip
