"""Which fine-tuned run is the best of its task by the verdicts, and the registration of all of them."""

import re
from collections.abc import Sequence

from seedbed.evaluation.comparisons import Verdict
from seedbed.evaluation.findings import Findings, Scored, TextResult
from seedbed.evaluation.predicted import place
from seedbed.tracking import Run

BEST = "best"


def best(results: Sequence[TextResult | Scored], verdicts: Sequence[Verdict]) -> str:
    """The run of best official score among those that no verdict says another run is better than.

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
    return min(standing, key=lambda r: place(r.predictions, r.scores[r.predictions.headline])).predictions.run


def register(tracker: Run, findings: Findings) -> None:
    """A version of model `<task>` for every fine-tuned run, by the hash of its artifact; `best` on one."""
    hashes = {row.run: row.artifact for row in findings.lineage if row.verb == "finetune"}
    tasks: dict[str, list[TextResult | Scored]] = {task: [*of] for task, of in findings.tasks.items()}
    for task, scored in findings.scored_by_task.items():
        tasks.setdefault(task, []).extend(scored)
    for task, results in tasks.items():
        # only runs scored on the same examples compete
        first = results[0].predictions
        rivals = [result for result in results if result.predictions.comparable(first)]
        chosen = best(rivals, findings.headline)
        for result in results:
            run, metric = result.predictions.run, result.predictions.headline
            score = result.scores[metric]
            told = [v.words for v in findings.headline if run in (v.a, v.b)]
            tracker.log_model_version(
                re.sub(r"[^\w.-]", "_", task),
                path=f"models/finetune/{run}",
                digest=hashes[run],
                tags={
                    "run": run,
                    f"test/{metric}": f"{score.value:.4f} ({score.low:.4f} to {score.high:.4f})",
                    "verdicts": "; ".join(told) or "not compared",
                    "commit": findings.commit,
                }
                | _temperatures(result),
                aliases=[BEST] if run == chosen else [],
            )


def _temperatures(result: TextResult | Scored) -> dict[str, str]:
    """What `predict` and `serve` divide the logits of each seed by."""
    if not isinstance(result, TextResult) or result.calibrated is None:
        return {}
    named = zip(result.predictions.seeds, result.calibrated.temperatures, strict=True)
    return {"temperatures": ", ".join(f"seed {seed}: {value:.6g}" for seed, value in named)}
