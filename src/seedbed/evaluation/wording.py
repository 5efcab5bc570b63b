"""How scores, probabilities and verdicts are put into words for the report."""

import math
from collections.abc import Sequence

from seedbed.evaluation import figures
from seedbed.evaluation.comparisons import Verdict

METRIC_WORDS = {
    "accuracy": "accuracy",
    "f1": "F1",
    "accuracy_f1": "mean of accuracy and F1",
    "micro_f1": "F1 (micro)",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "pearson_spearman": "mean of Pearson and Spearman",
    "entity_f1": "F1 of entities",
    "entity_macro_f1": "F1 of entities (macro)",
    "unit_macro_f1": "F1 of tags (macro)",
    "exact_match": "exact match",
    "bleu": "BLEU",
    "chrf": "chrF",
    "macro_precision": "precision (macro)",
    "macro_recall": "recall (macro)",
    "macro_f1": "F1 (macro)",
    "matthews": "Matthews correlation",
    "smape": "sMAPE %",
    "mase": "MASE",
    "mape": "MAPE %",
    "rmsse": "RMSSE",
    "owa": "OWA",
}
INTERVAL_WORDS = {
    "coverage": "covered",
    "width": "width over MASE's scale",
    "msis": "MSIS",
    "crps": "CRPS over MASE's scale",
}


def metric_words(metric: str) -> str:
    """A score's name for people."""
    return METRIC_WORDS.get(metric, metric.replace("_", " "))


def places(metric: str) -> int:
    """Decimals shown: two for per cents, three for the rest."""
    return 2 if metric in ("smape", "mape") else 3


def percent(probability: float) -> str:
    """A probability for people; never rounded to certainty, an en dash for nan."""
    if math.isnan(probability):
        return "–"
    if probability > 0.999:
        return "> 99.9 %"
    if probability < 0.001:
        return "< 0.1 %"
    return f"{100 * probability:.1f} %" if not 0.1 <= probability <= 0.9 else f"{100 * probability:.0f} %"


def p_value(probability: float) -> str:
    """Four decimals; never rounded to nothing, an en dash for nan."""
    return "< 0.0001" if probability < 0.0001 else figures.fixed(probability, 4)


def temperatures(values: Sequence[float]) -> str:
    """The temperature of each seed."""
    return ", ".join(figures.number(value) for value in values)


def sentence(verdict: Verdict) -> str:
    """The numbers of a verdict in one line."""
    metric = metric_words(verdict.metric).removesuffix(" %")
    unit = "series" if verdict.verb == "forecast" else "test examples"
    seeds = f", {verdict.difference.seeds} seeds each" if verdict.difference.seeds > 1 else ""
    difference = verdict.difference
    a, b, value, low, high = (
        figures.fixed(number, places(verdict.metric))
        for number in (verdict.value_a, verdict.value_b, difference.value, difference.low, difference.high)
    )
    plus = "+" if difference.value > 0 else ""
    few = f"too few {unit} for an interval: " if verdict.outcome == "too few" else ""
    ends = "" if few else f" ({low} to {high})"
    return (
        f"{metric} {a} against {b}, difference {plus}{value}{ends}, "
        f"{few}{difference.n:,}{'' if few else ' ' + unit}{seeds}{tests(verdict)}"
    )


def tests(verdict: Verdict) -> str:
    """What randomisation says, and the seeds that an open question still needs."""
    text = ""
    if math.isfinite(verdict.p_value):
        text += f"; randomisation p {p_value(verdict.p_value)}, after Holm {p_value(verdict.p_holm)}"
    if verdict.outcome in ("open", "probably better", "probably worse"):
        if math.isinf(verdict.more_seeds):
            text += "; more seeds alone would not settle it"
        elif verdict.more_seeds > 0:
            text += f"; about {verdict.more_seeds:.0f} more seeds each would settle it"
    return text
