"""Pages made from the code: written by `make docs`, held against the code by `make check`."""

import sys
from pathlib import Path


def write_or_check(page: Path, text: str, arguments: list[str]) -> int:
    """Write `text`; with --check only compare, and return 1 when the page is out of date."""
    if arguments != ["--check"]:
        page.write_text(text, encoding="utf-8")
        return 0
    if page.exists() and page.read_text(encoding="utf-8") == text:
        return 0
    print(f"docs/{page.name} is out of date; run make docs", file=sys.stderr)
    return 1
