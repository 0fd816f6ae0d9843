"""Numbers as the report writes them."""

from __future__ import annotations

from host_tools.report.scores import NO_VALUE

NBSP = "\u00a0"  # keeps a number and its unit on one line


def spaced(text: str) -> str:
    """The same, never broken into lines."""
    return text.replace(" ", NBSP)


def format_bytes(value: int | None) -> str:
    """Bytes up to 9,999, then KiB, then MiB."""
    if value is None:
        return NO_VALUE
    if value < 10_000:
        return f"{value:,}{NBSP}B"
    if value < 10 * 2**20:
        return f"{value / 1024:,.1f}{NBSP}KiB"
    return f"{value / 2**20:,.1f}{NBSP}MiB"


def format_count(value: int | None) -> str:
    """1234567 -> '1,234,567'."""
    return NO_VALUE if value is None else f"{int(value):,}"


def format_percent(value: float | None, digits: int = 1) -> str:
    """0.9637 -> '96.4 %'."""
    return NO_VALUE if value is None else f"{value * 100:.{digits}f}{NBSP}%"


def format_ms(value: float) -> str:
    """Milliseconds with two digits at least: '0.036 ms', '8.8 ms', '123 ms'."""
    return f"{value:.2g}{NBSP}ms" if value < 10 else f"{value:,.0f}{NBSP}ms"
