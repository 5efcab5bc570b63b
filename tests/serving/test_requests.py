"""Every mistake of a client has its 4xx and says what to send instead."""

import json

import pytest

from seedbed.serving.requests import MAX_TEXTS, BadRequest, Query, check_type, parse


def test_texts_and_pairs():
    assert parse('{"texts": ["한국어", "b 🙂"]}'.encode()) == Query("texts", (("한국어",), ("b 🙂",)))
    assert parse(b'{"pairs": [["a", "b"], ["c", "d"]]}') == Query("pairs", (("a", "b"), ("c", "d")))
    given = parse('{"choices": [["글", "하나", "둘"]]}'.encode())
    assert given == Query("choices", (("글", "하나", "둘"),))
    # an emoji may come as its two halves, as JSON escapes it
    assert parse(b'{"texts": ["\\ud83d\\ude42"]}') == Query("texts", (("🙂",),))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "empty"),
        (b" \n", 400, "empty"),
        ("한국어".encode("euc-kr"), 400, "not UTF-8 at byte 0"),
        (b'{"texts": ["a"]', 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON (nested too deeply)"),
        (b"null", 400, "got null"),
        (b"9" * 5000, 400, "not JSON (a number of thousands of digits)"),
        (b'{"\\ud800": 1}', 400, r"got keys '\ud800'"),
        (b'["a"]', 400, "got a list"),
        (b"{}", 400, "got an empty object"),
        (b'{"text": "a"}', 400, "got keys 'text'"),
        (b'{"texts": ["a"], "pairs": []}', 400, "got keys 'pairs', 'texts'"),
        (b'{"texts": "a"}', 400, "texts is a text"),
        (b'{"texts": []}', 400, "texts is an empty list"),
        (b'{"texts": [3]}', 400, "texts[0] is a number"),
        (b'{"texts": [true]}', 400, "texts[0] is true or false"),
        (b'{"texts": ["a", " "]}', 400, "texts[1] is blank"),
        (b'{"texts": ["\\ud800"]}', 400, "texts[0] holds half a surrogate pair"),
        (b'{"pairs": [["a"]]}', 400, "pairs[0] is a list"),
        (b'{"pairs": [["a", null]]}', 400, "pairs[0][1] is null"),
        (b'{"choices": [["a", "b"]]}', 400, "choices[0] is a list; send a list of a text and at least two"),
        (b'{"choices": [["a", "b", "c"], ["a", "b", "c", "d"]]}', 400, "choices[1] is a list"),
        (b'{"choices": ["a"]}', 400, "choices[0] is a text"),
        (json.dumps({"texts": ["a"] * (MAX_TEXTS + 1)}).encode(), 413, f"at most {MAX_TEXTS}"),
    ],
)
def test_faults(body, status, words):
    with pytest.raises(BadRequest) as fault:
        parse(body)
    assert fault.value.status == status and words in str(fault.value)
    assert "\n" not in str(fault.value) and len(str(fault.value)) <= 400


def test_types():
    for good in ("", "application/json", 'Application/JSON; charset="UTF-8"'):
        check_type(good)
    for bad in ("text/plain", "application/json; charset=euc-kr", "multipart/form-data; boundary=x"):
        with pytest.raises(BadRequest) as fault:
            check_type(bad)
        assert fault.value.status == 415
