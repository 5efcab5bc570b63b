"""The journal by itself: torn lines, resuming, full disks."""

import errno
import json
from pathlib import Path

import pytest

from seedbed.tracking.journal import JOURNAL, Journal, attempts, events, journals


def read(folder: Path) -> list[dict]:
    return [event for event, _ in events(folder)]


def test_a_torn_last_line_is_left_out_and_then_cut(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step in range(3):
        journal.append("", "metrics", step=step, values={"a": step / 3})
    journal.close()
    path = journal.folder / JOURNAL
    whole = path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for size in range(last + 1, len(whole)):
        path.write_bytes(whole[:size])
        assert [event["step"] for event in read(journal.folder)] == [0, 1]
    again = Journal(tmp_path)
    assert path.read_bytes() == whole[:last]
    assert again.known.new_metrics("", {"a": 2 / 3}, 2) == {"a": 2 / 3}
    again.append("", "metrics", step=2, values={"a": 2 / 3})
    again.close()
    assert [event["values"]["a"] for event in read(journal.folder)] == [0.0, 1 / 3, 2 / 3]


def test_a_damaged_line_is_told_and_the_rest_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    journal = Journal(tmp_path)
    for step in range(3):
        journal.append("", "metrics", step=step, values={"한글": 1.5})
    journal.close()
    path = journal.folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\x00\xff" + lines[1][2:] + lines[2])
    assert [event["step"] for event in read(journal.folder)] == [0, 2]
    assert "damaged line" in capsys.readouterr().err


def test_offsets_split_the_journal_without_loss(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step in range(5):
        journal.append("", "metrics", step=step, values={"a": 1.0})
    journal.close()
    pairs = list(events(journal.folder))
    for index, (_, offset) in enumerate(pairs):
        assert [e["step"] for e, _ in events(journal.folder, offset)] == list(range(index + 1, 5))


def test_a_full_disk_keeps_events_for_later(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    journal = Journal(tmp_path)
    journal.append("", "metrics", step=0, values={"a": 1.0})
    file = journal._file

    class Full:
        def write(self, data: bytes) -> int:
            file.write(data[:7])
            raise OSError(errno.ENOSPC, "No space left on device")

    journal._file = Full()
    journal.append("", "metrics", step=1, values={"a": 1.0})
    journal.append("", "metrics", step=2, values={"a": 1.0})
    assert [e["step"] for e in read(journal.folder)] == [0]
    journal._file = file
    journal.append("", "metrics", step=3, values={"a": 1.0})
    journal.close()
    assert [e["step"] for e in read(journal.folder)] == [0, 1, 2, 3]
    assert capsys.readouterr().err.count("No space left") == 1


def test_only_a_finished_attempt_is_followed_by_another(tmp_path: Path) -> None:
    for status, count in (("KILLED", 1), ("FAILED", 1), ("FINISHED", 1), ("FINISHED", 2)):
        journal = Journal(tmp_path / "run")
        journal.append("seed-0", "status", status="FINISHED")
        journal.append("", "status", status=status)
        journal.close()
        assert len(attempts(tmp_path / "run")) == count
    assert journals(tmp_path) == attempts(tmp_path / "run")


def test_floats_survive_bit_for_bit(tmp_path: Path) -> None:
    values = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1e-7]
    journal = Journal(tmp_path)
    for step, value in enumerate(values):
        journal.append("", "metrics", step=step, values={"a": value})
    journal.close()
    assert [json.dumps(e["values"]["a"]) for e in read(journal.folder)] == [json.dumps(v) for v in values]
