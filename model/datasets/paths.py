"""Paths of data: which files a folder has, and names that are safe to show."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePath

from model.errors import ConfigError, DataError

NO_DATA = re.compile(  # names of what computers and authors put beside data
    r"\._.*|__macosx|\.ds_store|thumbs\.db|desktop\.ini|(readme|licen[cs]e)([._-].*)?\.txt",
    re.IGNORECASE,
)
UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # categories of characters that no message can show


def resolve(text: str, where: str) -> Path:
    """The path of a recipe's setting: from the project's folder, or from $VARIABLE in its front."""
    match = re.fullmatch(r"\$(\w+)(/.*)?", text)
    if match is None:
        return Path(text)
    folder = os.environ.get(match[1], "")
    if not folder:
        raise ConfigError(
            f"{where} = {text!r}: the environment variable {match[1]} is not set; set it to the "
            f"folder with the data: export {match[1]}=path/to/folder"
        )
    return Path(folder + (match[2] or ""))


def composed(text: str) -> str:
    """Composed characters, as most keyboards give them; file systems may have others."""
    return unicodedata.normalize("NFC", text)


def list_files(folder: Path, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """All files below a folder whose names end in one of `suffixes`, by the parts of their paths.

    Without suffixes all; no README.txt and nothing else that is no data (NO_DATA). None of a folder
    that is not there. Raises DataError for a folder that cannot be read, for
    links to folders and links that leave `folder`, and for names with control characters.
    """
    found: list[str] = []
    waiting = [os.fspath(folder)] if folder.is_dir() else []
    while waiting:
        place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError as error:
            raise DataError(
                f"{_shown(place)}: the folder cannot be read: {error.strerror}; expected one that "
                "can be, got none; make it readable"
            ) from error
        for entry in entries:
            wanted = not suffixes or PurePath(entry.name).suffix.lower() in suffixes
            if NO_DATA.fullmatch(entry.name) or not (wanted or entry.is_dir()):
                continue
            if entry.is_symlink():
                _check_link(folder, Path(entry.path))
            _check_name(entry.name, entry.path)
            (waiting if entry.is_dir() else found).append(entry.path)
    return sorted(map(Path, found), key=lambda path: path.parts)


def _check_link(folder: Path, path: Path) -> None:
    """A link may lead to a file of the folder only, so that all that is read lies there."""
    target = path.resolve()
    if target.is_dir():
        got, advice = "a link to a folder", "put the data there, or name its folder in the recipe"
    elif not target.is_relative_to(folder.resolve()):
        got, advice = f"a link to {_shown(target)} outside of it", "copy the file there"
    elif not target.exists():
        got, advice = f"a link to {_shown(target)}, which is not there", "remove the link"
    else:
        return
    raise DataError(f"{_shown(path)}: expected files of the folder, got {got}; {advice}")


def _check_name(name: str, path: str) -> None:
    if not name.isprintable() and any(unicodedata.category(c) in UNPRINTABLE for c in name):
        raise DataError(
            f"{_shown(path)}: expected a name in UTF-8 without control characters, got "
            f"{_shown(name)!r}; rename it"
        )


def _shown(path: object) -> str:
    """A path for messages, with its control characters and stray bytes as codes."""
    return ascii(str(path))[1:-1] if not str(path).isprintable() else str(path)
