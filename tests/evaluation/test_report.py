"""The page: escaped, self-contained, accessible, the same bytes twice; the tables beside it."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.evaluation import figures, panel_charts, report, tables, wording
from seedbed.evaluation.calibration import Bin, Calibrated
from seedbed.evaluation.intervals import Estimate
from seedbed.evaluation.report import reliability_chart
from tests.evaluation import examples

VOID = {"meta", "link", "br", "hr", "img", "input"}


@pytest.fixture(scope="module")
def found():
    return examples.findings()


@pytest.fixture(scope="module")
def page(found):
    return report.render(found)


class Tree(HTMLParser):
    """Checks that tags nest, and collects them."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_it_is_well_formed_self_contained_and_accessible(page):
    tree = Tree()
    tree.feed(page)
    assert not tree.open
    names = [tag for tag, _ in tree.tags]
    assert not {"script", "iframe", "link", "img", "object"} & set(names)
    for tag, attributes in tree.tags:
        assert not any(key.startswith("on") or key == "src" for key in attributes), tag
        assert str(attributes.get("href", "#")).startswith("#")
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes.get("role") == "img"
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    assert len(re.findall(r'role="img"[^>]*><title>', page)) == page.count('role="img"') > 0
    assert "url(" not in page and "@import" not in page
    ids = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in tree.tags if t == "a"} <= set(ids)


def test_text_from_data_is_escaped(page):
    assert "<script>" not in page and "&lt;script&gt;alert(1)" in page
    assert "한국어" in page and "🙂" in page
    assert "quarterly:0 <b>" not in page


def test_the_same_findings_give_the_same_bytes(found, page):
    assert page == report.render(found) == report.render(examples.findings())


def test_verdicts_come_first_and_in_words(page):
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "electra-topics is better than scratch-topics" in plain
    assert "nbeats-x is better than naive2" in plain
    assert plain.index("Verdicts") < plain.index("Text tasks") < plain.index("Lineage")
    assert "120 test examples, 2 seeds each" in plain
    assert "too short" in plain and "0" * 40 in plain


def test_an_empty_table_of_contents_still_gives_a_page(found):
    empty = replace(
        found, tasks={}, panels=[], headline=[], details=[], curves=[], pretraining={}, corpora=[]
    )
    assert "no verdict" in report.render(empty)


def test_a_panel_is_pictured_in_full(page):
    for title in (
        "sMAPE by horizon, yearly",
        "Coverage of nbeats-x by horizon, quarterly",
        "Calibration on classics",
        "Mean ranks on classics by smape",
        "season of nbeats-x",
        "추세 &lt;trend&gt; of nbeats-x",
    ):
        assert f"{title}" in page, title
    assert "The shaded band is the 95 % interval of nbeats-x" in page and page.count('class="band s1"') > 2
    assert "sMAPE by length" not in page, "all histories are as long"


def test_what_is_missing_in_a_panel_is_told(found):
    facts = (
        "323 of 14998 points have no value (323 of them no row): kept as gaps",
        "1 series left out: a gap",
    )
    page = report.render(replace(found, panels=[replace(found.panels[0], facts=facts)]))
    for line in facts:
        assert f'<p class="note">{line}.</p>' in page


def test_marks_of_steps_are_whole(found):
    (chart, *_) = panel_charts.error_charts(
        found.panels[0], {r.forecasts.forecaster: "s1" for r in found.panels[0].results}
    )
    assert re.fullmatch(r"sMAPE % by steps ahead \(\w+, \d+ series\)", chart.caption)
    for steps in ([1, 2], [*range(1, 13)], [*range(1, 49)]):
        marks = panel_charts._whole(steps)
        assert 1 <= len(marks) <= 7 and all(int(name) == at for at, name in marks.items())


def test_components_of_a_chart_add_up(found):
    run = found.panels[0].results[1].forecasts
    assert run.components == ("추세 <trend>", "season")
    total = run.joined["추세 <trend>"] + run.joined["season"]
    assert (total - run.joined["forecast"]).abs().max() < 1e-9


def test_files(found, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        tables.write(found, tmp_path / name)
    ours = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    for path in ours:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path
    tree = json.loads((tmp_path / "one/metrics.json").read_text())
    flat = tables.flatten(tree)
    assert all(isinstance(v, int | float) and math.isfinite(v) for v in flat.values())
    leaf = tree["finetune"]["electra-topics"]["test/accuracy"]
    assert leaf["low"] < leaf["value"] < leaf["high"] and leaf["n"] == 120 and leaf["seeds"] == 2
    assert tree["forecast"]["nbeats-x"]["test/yearly/owa"]["n"] == 8
    assert tree["comparisons"]["forecast"]["nbeats-x vs naive2"]["owa"]["p_better"] > 0.9
    rows = pl.read_csv(tmp_path / "one/tables/finetune.csv")
    value = rows.filter((pl.col("run") == "electra-topics") & (pl.col("metric") == "accuracy"))["value"][0]
    assert value == leaf["value"]
    coverage = tree["forecast"]["nbeats-x"]["test/yearly/coverage-95"]
    assert 0 <= coverage["low"] <= coverage["value"] <= coverage["high"] <= 1 and coverage["n"] == 8
    slices = pl.read_csv(tmp_path / "one/tables/slices.csv")
    assert set(slices["by"]) == {"horizon", "length", "level"} and slices["n"].min() == 8
    won = pl.read_parquet(tmp_path / "one/tables/wins.parquet")
    assert won.height == 32 and won.filter(pl.col("winner") == "nbeats-x").height > 24
    confusion = pl.read_csv(tmp_path / "one/plots/confusion/electra-topics.csv")
    assert confusion.columns == ["actual", "predicted"] and confusion.height == 240
    assert pl.read_parquet(tmp_path / "one/predictions/nbeats-x.parquet").height == 64
    curves = pl.read_csv(tmp_path / "one/plots/curves.csv")
    assert curves["step"].to_list()[:3] == [0, 10, 20] and curves["value"][2] is None
    assert curves.columns == ["verb", "run", "part", "step", "metric", "value"]


def test_seeds_share_a_chart_and_a_colour_and_refits_are_not_drawn(found):
    charts = {chart.caption: chart for chart in report.curve_charts(found)}
    assert list(charts) == [
        "pretrain: valid/loss", "finetune topics: valid/loss", "forecast yearly: train/loss",
    ]  # fmt: skip
    assert charts["finetune topics: valid/loss"].svg.count('class="s0 thin"') == 2
    assert charts["finetune topics: valid/loss"].legend.count("<li>") == 1


def test_two_runs_of_one_name_are_refused(found, tmp_path):
    result = found.tasks["topics"][0]
    twice = replace(found, tasks={"topics": [result, result]})
    with pytest.raises(UserError, match="two runs are called electra-topics"):
        tables.write(twice, tmp_path)


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [(0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]), (-3, 9, ["−2.5", "0.0", "2.5", "5.0", "7.5"])],
)
def test_ticks(low, high, names):
    assert figures.tick_names(figures.ticks(low, high)) == names


def test_a_small_confusion_matrix_shows_its_zeros_and_a_large_one_what_is_there():
    small = figures.confusion_chart([[3, 0], [0, 2]], ["가", "나"], title="t")
    assert small.count(">0</text>") == 2
    large = figures.confusion_chart(np.eye(9, dtype=int).tolist(), [str(i) for i in range(9)], title="t")
    assert large.count('class="count dark"') == 9 and ">0</text>" in large, "0 is the name of a class alone"
    assert large.count(">0</text>") == 2


def test_points_of_a_reliability_curve_tell_their_counts():
    bins = [Bin(0.55, 0.4, 9), Bin(0.9, 1.0, 91)]
    of_all = Estimate(0.1, 0.0, 0.2, 100)
    measured = dict.fromkeys(("nll", "ece", "ece_equal_mass"), of_all)
    chart = reliability_chart(Calibrated("a", (1.0,), measured, measured, 0.05, bins, bins[1:]))
    radii = [
        float(radius) for radius in re.findall(r'<circle [^>]* r="([\d.]+)"[^>]*><title>n \d+', chart.svg)
    ]
    assert radii == [3.1, 7.7, 8.0], "areas as counts, one more for the least"


def test_numbers_for_people():
    assert [figures.number(v) for v in (0.12345, 12.345, 1234.5, -0.5, float("nan"))] == [
        "0.123", "12.3", "1,234", "−0.500", "–",
    ]  # fmt: skip
    assert figures.interval_text(Estimate(1, float("nan"), float("nan"), 1)) == "no interval"
    assert [wording.p_value(p) for p in (0.00004, 0.03042, float("nan"))] == ["< 0.0001", "0.0304", "–"]
    assert [wording.percent(p) for p in (0.9999, 0.5, 0.953, 0.0001)] == [
        "> 99.9 %",
        "50 %",
        "95.3 %",
        "< 0.1 %",
    ]
