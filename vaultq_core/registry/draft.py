"""The entries of one commit before they count: leaves, the nodes they complete, and their paths to the new root."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from vaultq_core.crypto.merkle import Frontier, Node, inclusion_path, leaf_hash
from vaultq_core.crypto.receipts import leaf_data
from vaultq_core.errors import RecordDamaged
from vaultq_core.registry.log import Head
from vaultq_core.wire import canonical
from vaultq_core.wire.entries import LogEntry
from vaultq_core.wire.proof import LoggedEntry, Receipt

SALT_BYTES = 32

_ACTORS = ("administrator", "author", "doctor")
_SUBJECTS = ("grantee", "doctor")


class Draft:
    """A log that grows in memory from a head; every entry gets the same log time, which never falls."""

    def __init__(self, head: Head, now: int, random_bytes: Callable[[int], bytes]) -> None:
        frontier = Frontier.decode(head.frontier)
        if frontier.size != head.size or frontier.root() != head.root:
            raise RecordDamaged("the head of the log contradicts itself")
        self.time = max(now, head.time)
        self.start = head.size
        self.frontier = frontier
        self.logged: list[LoggedEntry] = []
        self.entries: list[LogEntry] = []
        self.new_nodes: list[Node] = []
        self._random_bytes = random_bytes
        self._nodes = {(node.level, node.index): node.hash for node in frontier.nodes()}

    @property
    def size(self) -> int:
        """The size of the log with what was added."""
        return self.frontier.size

    def add(self, entries: Sequence[LogEntry]) -> None:
        """Append entries, with the log time and new salts: all, or none when one raises Malformed."""
        timed = [msgspec.structs.replace(entry, time=self.time) for entry in entries]
        logged = [LoggedEntry(entry=canonical.encode(entry), salt=self._random_bytes(SALT_BYTES)) for entry in timed]
        for each in logged:
            self.frontier, nodes = self.frontier.append(leaf_hash(leaf_data(each.entry, each.salt)))
            self.new_nodes += nodes
            self._nodes.update({(node.level, node.index): node.hash for node in nodes})
        self.logged += logged
        self.entries += timed

    def receipt(self, index: int, note: str) -> Receipt:
        """Return the receipt of the new entry `index` under the checkpoint of the whole draft.

        Its path needs no stored hash: what stands left of the new leaves is the old frontier.
        """
        path = inclusion_path(index, self.size, lambda level, place: self._nodes[level, place])
        return Receipt(self.logged[index - self.start], index, path, note)

    def node_rows(self) -> list[dict[str, object]]:
        """Return the rows of `tree_nodes` that the draft adds."""
        return [{"level": node.level, "node_index": node.index, "hash": node.hash} for node in self.new_nodes]

    def entry_rows(self) -> list[dict[str, object]]:
        """Return the rows of `log_entries` that the draft adds."""
        return [
            {
                "log_index": self.start + offset,
                "time": self.time,
                "entry": logged.entry,
                "salt": logged.salt,
                "checkpoint_size": self.size,
                **_facets(entry),
            }
            for offset, (entry, logged) in enumerate(zip(self.entries, self.logged, strict=True))
        ]


def _facets(entry: LogEntry) -> dict[str, object]:
    """Return what a listing can be narrowed by: the tag, who acted, upon whom, and about which patient and record."""
    names = [name for name in _ACTORS if hasattr(entry, name)]
    actor = names[0] if names else ""
    subject = next((name for name in _SUBJECTS if name != actor and hasattr(entry, name)), "")
    return {
        "kind": entry.__struct_config__.tag,
        "actor": getattr(entry, actor, None),
        "subject": getattr(entry, subject, None),
        "patient": getattr(entry, "patient", None),
        "record": getattr(entry, "record", None),
    }
