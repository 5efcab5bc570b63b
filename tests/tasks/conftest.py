"""The machine's mirror of published data, for the tests that skip without one."""

from tests.corpora.conftest import real_mirror

__all__ = ["real_mirror"]
