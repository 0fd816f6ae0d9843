"""The errors of host_tools, each with the exit code it ends a command with."""

from __future__ import annotations

from model.errors import TinyproofError


class HostToolsError(TinyproofError):
    """A check failed."""


class UsageError(HostToolsError):
    """Wrong use or configuration."""

    exit_code = 2


class ToolMissing(UsageError):
    """A toolchain or emulator is not installed; the message says how to get it."""


class DeviceError(HostToolsError):
    """The device or the way to it failed."""

    exit_code = 3
