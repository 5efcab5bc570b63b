"""File names that came from outside: checked before anything is written under them."""

from pathlib import PurePosixPath

from seedbed.config import UserError


def checked_name(name: str, where: str) -> str:
    """A relative file name that stays inside its folder, in POSIX form."""
    path = PurePosixPath(name)
    bad = (
        not name
        or path.is_absolute()
        or any(part in ("..", ".") for part in name.split("/"))
        or any(character in name for character in "\\\0:")
        or len(name) > 500
    )
    if bad:
        raise UserError(
            f"{where}: unsafe file name {name[:80]!r}; names must be relative, without '..', '\\' or ':'"
        )
    return path.as_posix()
