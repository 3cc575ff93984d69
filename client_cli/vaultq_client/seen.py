"""What a client has seen of its vault, so that the vault can take nothing back.

A lower statement version, or a checkpoint that does not continue the last one, is an alarm: somebody
shows this client another history than before (docs/spec/log.md).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from vaultq_client.home import Home
from vaultq_core.crypto.checkpoints import Checkpoint
from vaultq_core.crypto.merkle import EMPTY_ROOT, verify_consistency
from vaultq_core.errors import Malformed, NotFound, NotVerified
from vaultq_core.private_files import read_private, write_private
from vaultq_core.wire import canonical
from vaultq_core.wire.api import Consistency
from vaultq_core.wire.ids import Sha256, Size
from vaultq_core.wire.manifest import SeenCheckpoint

ConsistencyOf = Callable[[int, int], Consistency]
"""Asks the vault to prove that its log of `second` entries begins with that of `first`."""

_SEEN_BYTES = 4096
_ALARM = (
    "Stop using this vault, keep this client's directory as it is, and tell your administrator and the auditors: "
    "together with a colleague's it proves the fork."
)


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The highest statement version and the newest checkpoint; at first, nothing."""

    statement_version: Size = 0
    size: Size = 0
    root: Sha256 = EMPTY_ROOT.hex()

    def checkpoint(self) -> SeenCheckpoint | None:
        """Return what a manifest names of it."""
        return SeenCheckpoint(size=self.size, root=self.root) if self.size else None


def load_seen(home: Home, vault: str) -> Seen:
    """Return what was seen; nothing where there is no file. Raises Malformed, InsecureFile."""
    try:
        data = read_private(home.seen(vault), _SEEN_BYTES)
    except NotFound:
        return Seen()
    return canonical.decode(data, Seen, limit=_SEEN_BYTES)


def remember(
    home: Home, vault: str, checkpoint: Checkpoint, consistency: ConsistencyOf, *, statement_version: int = 0
) -> Seen:
    """Keep a verified checkpoint and statement version, once they are proven to continue what was seen.

    An older checkpoint is proven to be the beginning of the one that was seen. Raises NotVerified when
    the log has forked.
    """
    with home.locked():
        seen = load_seen(home, vault)
        require_same_log(seen, checkpoint, consistency)
        newest = Seen(
            statement_version=max(seen.statement_version, statement_version),
            size=max(seen.size, checkpoint.size),
            root=checkpoint.root.hex() if checkpoint.size > seen.size else seen.root,
        )
        if newest != seen:
            write_private(home.seen(vault), canonical.encode(newest))
        return newest


def require_same_log(seen: Seen, checkpoint: Checkpoint, consistency: ConsistencyOf) -> Checkpoint:
    """Return `checkpoint` if it and the one that was seen are of one log. Raises NotVerified.

    A vault that gives no proof (a registry that was put back knows nothing of the later entries) is no other than one
    whose proof doesn't hold.
    """
    mine = (seen.size, bytes.fromhex(seen.root))
    theirs = (checkpoint.size, checkpoint.root)
    first, second = (mine, theirs) if mine[0] <= theirs[0] else (theirs, mine)
    path: tuple[bytes, ...] = ()
    try:
        if 0 < first[0] < second[0]:
            path = consistency(first[0], second[0]).path
        verify_consistency(*first, *second, path)
    except (NotVerified, Malformed) as error:
        raise NotVerified(
            "ALARM: the vault's log has forked: it shows another history than this client saw before "
            f"({first[0]} entries under {first[1].hex()}; {second[0]} under {second[1].hex()}; {error})",
            remedy=_ALARM,
        ) from None
    return checkpoint
