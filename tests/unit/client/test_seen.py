from __future__ import annotations

import pytest

from vaultq_client.home import Home
from vaultq_client.seen import Seen, load_seen, remember
from vaultq_core.crypto.checkpoints import Checkpoint
from vaultq_core.crypto.merkle import Frontier, consistency_proof, leaf_hash
from vaultq_core.errors import Malformed, NotVerified
from vaultq_core.wire.api import Consistency

VAULT = "ab" * 32


class Tree:
    """A log of the given leaves, and what it proves."""

    def __init__(self, leaves: str) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.roots = [Frontier().root()]
        frontier = Frontier()
        for leaf in leaves:
            frontier, made = frontier.append(leaf_hash(leaf.encode()))
            self.nodes |= {(node.level, node.index): node.hash for node in made}
            self.roots.append(frontier.root())

    def at(self, size: int) -> Checkpoint:
        return Checkpoint(size, self.roots[size], 0)

    def proof(self, first: int, second: int) -> Consistency:
        path = consistency_proof(first, second, lambda level, index: self.nodes[level, index])
        return Consistency(first=first, second=second, path=path)


HONEST, FORKED = Tree("abcdefghij"), Tree("abcdEFGHIJ")


def see(home: Home, size: int, *, tree: Tree = HONEST, version: int = 0) -> Seen:
    return remember(home, VAULT, tree.at(size), tree.proof, statement_version=version)


def test_the_newest_is_kept_and_never_goes_back(home: Home) -> None:
    see(home, 3, version=2)
    see(home, 7, version=3)
    see(home, 5, version=1)

    assert load_seen(home, VAULT) == Seen(statement_version=3, size=7, root=HONEST.roots[7].hex())
    assert home.seen(VAULT).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [6, 8, 10])
def test_a_forked_log_raises_the_alarm_and_changes_nothing(home: Home, size: int) -> None:
    before = see(home, 6)

    with pytest.raises(NotVerified, match="ALARM: the vault's log has forked") as caught:
        see(home, size, tree=FORKED)
    assert load_seen(home, VAULT) == before
    assert HONEST.roots[6].hex() in str(caught.value)


def test_a_log_that_was_cut_and_grew_again_raises_the_alarm(home: Home) -> None:
    see(home, 8)

    with pytest.raises(NotVerified, match="forked"):
        see(home, 5, tree=FORKED)


def test_a_log_that_was_put_back_and_cannot_prove_itself_raises_the_alarm(home: Home) -> None:
    before = see(home, 8)

    def refuse(_first: int, _second: int) -> Consistency:
        raise Malformed("the log has 5 entries")

    with pytest.raises(NotVerified, match="ALARM: the vault's log has forked"):
        remember(home, VAULT, HONEST.at(5), refuse)
    assert load_seen(home, VAULT) == before


def test_a_log_that_agrees_so_far_passes(home: Home) -> None:
    see(home, 4)

    assert see(home, 4, tree=FORKED).size == 4


def test_two_vaults_are_kept_apart(home: Home) -> None:
    see(home, 6)
    other = "cd" * 32
    remember(home, other, FORKED.at(6), FORKED.proof)

    assert load_seen(home, VAULT).root != load_seen(home, other).root


def test_before_the_first_time_nothing_was_seen(home: Home) -> None:
    assert load_seen(home, VAULT).checkpoint() is None
