"""Addresses of stores, databases and the like, which may hold passwords."""

from __future__ import annotations

import re

# Up to the last @: a password may hold any character, whether it should or not.
_SECRET = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s]*@")
_QUERY = re.compile(r"(?P<address>[A-Za-z][A-Za-z0-9+.-]*://[^\s?]*)\?[^\s]*")


def without_password(text: str) -> str:
    """Any text, with the addresses in it without user, password and query."""
    return _QUERY.sub(r"\g<address>", _SECRET.sub(r"\g<scheme>", text))
