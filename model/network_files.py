"""The file of a network of the user's own: where it lies, and that it may be read or run."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
from collections.abc import Iterator
from pathlib import Path

from model.datasets.paths import resolve
from model.errors import ConfigError
from model.files import MAX_NETWORK_BYTES, read_bounded
from model.network_config import NetworkConfig

MAX_CODE_BYTES = 1 << 20
_given: contextvars.ContextVar[Path | None] = contextvars.ContextVar("_given", default=None)
SUFFIXES = {"python": (".py",), "file": (".keras", ".h5")}


def network_file(config: NetworkConfig) -> Path | None:
    """The file of the kinds 'python' and 'file'; None for the built-in ones.

    Code has to lie in the project, whose owner answers for it: ConfigError for any other place.
    """
    if config.kind not in SUFFIXES:
        return None
    key, text = f"network.{config.kind}.file", config.options.file
    if not text.lower().endswith(SUFFIXES[config.kind]):
        raise ConfigError(
            f"{key}: expected a file *{' or *'.join(SUFFIXES[config.kind])}, got {text!r}"
        )
    if (sent := _given.get()) is not None:
        return sent
    if config.kind == "file":
        return resolve(text, key)
    path, project = Path(text), Path.cwd().resolve()
    if path.is_absolute() or not path.resolve().is_relative_to(project):
        raise ConfigError(
            f"{key}: expected a file in the project's folder, {project}, got {text!r}: code of "
            "other places is not run; copy it there"
        )
    return path


@contextlib.contextmanager
def given_file(path: Path) -> Iterator[None]:
    """Within, the file that was sent with a job (model.attachments) stands for the project's."""
    before = _given.set(path)
    try:
        yield
    finally:
        _given.reset(before)


def read_network_file(config: NetworkConfig) -> tuple[Path, bytes]:
    """(its path, its content); ConfigError when it is missing or too large."""
    path = network_file(config)
    assert path is not None
    key = f"network.{config.kind}.file = {config.options.file!r}"
    limit = MAX_CODE_BYTES if config.kind == "python" else MAX_NETWORK_BYTES
    try:
        data = read_bounded(path, limit + 1)
    except OSError as error:
        raise ConfigError(
            f"{key}: {path}: {error.strerror}; give the path of a file from the project's folder"
        ) from error
    if len(data) > limit:
        raise ConfigError(f"{key}: {path}: expected at most {limit} bytes, got more")
    return path, data


def network_digest(config: NetworkConfig) -> str | None:
    """SHA-256 of the file; None for a built-in kind."""
    if config.kind not in SUFFIXES:
        return None
    return hashlib.sha256(read_network_file(config)[1]).hexdigest()
