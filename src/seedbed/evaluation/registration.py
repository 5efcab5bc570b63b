"""Which fine-tuned run is the best of its task by the verdicts, and the registration of all of them."""

import re
from collections.abc import Sequence

from seedbed.evaluation.comparisons import Verdict
from seedbed.evaluation.findings import Findings, TextResult
from seedbed.tracking import Run

BEST = "best"
METRIC = "accuracy"


def best(results: Sequence[TextResult], verdicts: Sequence[Verdict]) -> str:
    """The run of highest accuracy among those that no verdict says another run is better than.

    "Better" as the report says it, after Holm's correction; runs that were never compared stand by their
    value alone. Of equal values the first name.
    """
    names = {result.predictions.run for result in results}
    beaten = {
        loser
        for verdict in verdicts
        if {verdict.a, verdict.b} <= names
        for loser, outcome in ((verdict.b, "better"), (verdict.a, "worse"))
        if verdict.outcome == outcome
    }
    # a circle of verdicts (on several metrics) beats everyone: then values decide alone
    standing = [result for result in results if result.predictions.run not in beaten] or results
    return min(standing, key=lambda r: (-r.scores[METRIC].value, r.predictions.run)).predictions.run


def register(tracker: Run, findings: Findings) -> None:
    """A version of model `<task>` for every fine-tuned run, by the hash of its artifact; `best` on one."""
    hashes = {row.run: row.artifact for row in findings.lineage if row.verb == "finetune"}
    for task, results in findings.tasks.items():
        # only runs scored on the same examples compete
        first = results[0].predictions
        rivals = [result for result in results if result.predictions.comparable(first)]
        chosen = best(rivals, findings.headline)
        for result in results:
            run, accuracy = result.predictions.run, result.scores[METRIC]
            told = [v.words for v in findings.headline if run in (v.a, v.b)]
            tracker.log_model_version(
                re.sub(r"[^\w.-]", "_", task),
                path=f"models/finetune/{run}",
                digest=hashes[run],
                tags={
                    "run": run,
                    f"test/{METRIC}": f"{accuracy.value:.4f} ({accuracy.low:.4f} to {accuracy.high:.4f})",
                    "verdicts": "; ".join(told) or "not compared",
                    "commit": findings.commit,
                },
                aliases=[BEST] if run == chosen else [],
            )
