"""The facts of a task and the table of predictions."""

from pathlib import Path

import numpy as np
import pytest

from seedbed.config import UserError
from seedbed.tasks import TaskFacts, label_names
from seedbed.tasks.classification import label_table
from seedbed.tasks.examples import Example
from seedbed.tasks.prediction import read_facts, write_facts


def test_facts_survive_writing(tmp_path: Path) -> None:
    facts = TaskFacts(labels=("가", "b"), masked=("x",))
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts
    assert label_names(tmp_path) == ("가", "b")


@pytest.mark.parametrize("text", ["{", '{"labels": 3}', '{"labels": ["a"], "colour": 1}'])
def test_damaged_facts_are_the_users_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "task.json").write_text(text)
    with pytest.raises(UserError, match=r"task\.json"):
        read_facts(tmp_path)


def test_the_table_has_a_row_for_each_example_and_a_column_for_each_label() -> None:
    examples = [Example("x", "", None, 1), Example("y", "", None, 0)]
    frame = label_table(7, examples, np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]))
    assert frame.columns == ["seed", "id", "label", "predicted", *(f"probability_{c}" for c in range(3))]
    assert frame.rows() == [(7, "x", 1, 2, 0.2, 0.3, 0.5), (7, "y", 0, 0, 0.6, 0.3, 0.1)]
