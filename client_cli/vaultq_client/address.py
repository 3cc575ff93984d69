"""Where a listener is: HOST:PORT, an IPv6 host in brackets."""

from __future__ import annotations

import re

from vaultq_core.errors import Usage

_ADDRESS = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_MOST_PORT = 65535


def parse_address(text: str) -> str:
    """Return `text` as HOST:PORT; `https://` before it and a slash behind it are dropped. Raises Usage."""
    bare = text.strip().removeprefix("https://").removesuffix("/")
    match = _ADDRESS.fullmatch(bare)
    if match is None or not 0 < int(match[2]) <= _MOST_PORT:
        raise Usage("an address is HOST:PORT", remedy="Write it like vault.example.org:8443 or [::1]:8443.")
    return bare
