"""The Merkle tree of the log (RFC 6962, 2.1): hashes, proofs, and the frontier that appending needs.

A node is named by level and index: node (level, index) covers the leaves from index * 2^level on,
2^level of them; only complete nodes have a name. Indexes and sizes count leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vaultq_core.errors import Malformed, NotVerified

HASH_BYTES = 32
SIZE_BYTES = 8
EMPTY_ROOT = hashlib.sha256(b"").digest()

NodeGetter = Callable[[int, int], bytes]
"""Returns the hash of the complete node (level, index)."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Node:
    """A complete node of the tree and its hash."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the complete subtrees that a tree of `size` leaves consists of, largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> tuple[Frontier, tuple[Node, ...]]:
        """Return the frontier with one more leaf hash, and the nodes which that completes, leaf first."""
        nodes = [Node(0, self.size, leaf)]
        hashes = list(self.hashes)
        while self.size >> (len(nodes) - 1) & 1:
            level = len(nodes)
            nodes.append(Node(level, self.size >> level, node_hash(hashes.pop(), nodes[-1].hash)))
        return Frontier(self.size + 1, (*hashes, nodes[-1].hash)), tuple(nodes)

    def root(self) -> bytes:
        """Return the root of the tree; that of the empty tree is SHA-256 of nothing."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def nodes(self) -> tuple[Node, ...]:
        """Return the frontier's hashes by their names, largest first."""
        levels = [level for level in reversed(range(self.size.bit_length())) if self.size >> level & 1]
        return tuple(
            Node(level, (self.size >> level) - 1, each) for level, each in zip(levels, self.hashes, strict=True)
        )

    def encode(self) -> bytes:
        """Return size (8 bytes, big-endian) ‖ hashes."""
        return self.size.to_bytes(SIZE_BYTES, "big") + b"".join(self.hashes)

    @classmethod
    def decode(cls, data: bytes) -> Frontier:
        """Return the frontier that `data` encodes. Raises Malformed when the count of hashes does not fit the size."""
        size = int.from_bytes(data[:SIZE_BYTES], "big")
        if len(data) != SIZE_BYTES + HASH_BYTES * size.bit_count():
            raise Malformed("this is not the frontier of a Merkle tree")
        return cls(size, tuple(data[at : at + HASH_BYTES] for at in range(SIZE_BYTES, len(data), HASH_BYTES)))


def inclusion_path(index: int, size: int, node: NodeGetter) -> tuple[bytes, ...]:
    """Return the path from leaf `index` to the root of the first `size` leaves (RFC 6962, 2.1.1).

    Raises Malformed unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise Malformed(f"there is no leaf {index} in a log of {size} entries")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, node))
            end = middle
        else:
            path.append(_range_hash(start, middle, node))
            start = middle
    return tuple(reversed(path))


def consistency_proof(first: int, second: int, node: NodeGetter) -> tuple[bytes, ...]:
    """Return the proof that the tree of `second` leaves begins with that of `first` (RFC 6962, 2.1.2).

    It is empty when the trees are equal or the first one is empty. Raises Malformed unless 0 <= first <= second.
    """
    if not 0 <= first <= second:
        raise Malformed(f"a log of {second} entries cannot continue one of {first}")
    proof: list[bytes] = []
    start, end = 0, second
    while first not in (0, end):
        middle = start + _left_size(end - start)
        if first <= middle:
            proof.append(_range_hash(middle, end, node))
            end = middle
        else:
            proof.append(_range_hash(start, middle, node))
            start = middle
    if start:
        proof.append(_range_hash(start, end, node))
    return tuple(reversed(proof))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bytes:
    """Prove that the tree of `size` leaves under `root` holds the leaf hash `leaf` at `index` (RFC 9162, 2.1.3.2).

    1. The index lies inside the tree.
    2. The path has as many hashes as the place of that leaf demands, of 32 bytes each.
    3. Hashing up the path ends at the root.

    Returns the root. Raises NotVerified, naming the step.
    """
    if not 0 <= index < size:  # 1
        raise NotVerified(f"a log of {size} entries has no entry {index}", step=1)
    inner, border = _path_shape(index, size)
    _require_hashes(path, inner + border, step=2)  # 2
    if _climb(leaf, path, index, inner) != root:  # 3
        raise NotVerified("the inclusion path does not lead to the root", step=3)
    return root


def verify_consistency(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bytes:
    """Prove that the tree of `second` leaves begins with the tree of `first` (RFC 9162, 2.1.4.2).

    1. The second tree is not smaller than the first.
    2. A first tree that is empty or the second itself has the root that follows, and an empty proof.
    3. The proof has as many hashes as the two sizes demand, of 32 bytes each.
    4. Hashing up the proof's left part ends at the first root.
    5. Hashing up all of it ends at the second root.

    Returns the second root. Raises NotVerified, naming the step.
    """
    if not 0 <= first <= second:  # 1
        raise NotVerified(f"a log of {second} entries cannot continue one of {first}", step=1)
    if first in (0, second):  # 2
        _require_trivial(first_root, second_root if first else EMPTY_ROOT, proof)
        return second_root
    level = (first & -first).bit_length() - 1
    inner, border = _path_shape(first - 1, second)
    seeded = first == 1 << level  # the first tree is one complete node: the verifier knows its hash
    _require_hashes(proof, (not seeded) + inner - level + border, step=3)  # 3
    seed, path = (first_root, proof) if seeded else (proof[0], proof[1:])
    place = (first - 1) >> level
    if _climb_left(seed, path, place, inner - level) != first_root:  # 4
        raise NotVerified("the consistency proof does not lead to the first root", step=4)
    if _climb(seed, path, place, inner - level) != second_root:  # 5
        raise NotVerified("the consistency proof does not lead to the second root", step=5)
    return second_root


def _left_size(size: int) -> int:
    """Return the largest power of two below `size`: where RFC 6962 splits a tree."""
    return 1 << (size - 1).bit_length() - 1


def _range_hash(start: int, end: int, node: NodeGetter) -> bytes:
    """Return the root over leaves start..end-1; `start` is a multiple of the next power of two."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _left_size(size)
    return node_hash(_range_hash(start, middle, node), _range_hash(middle, end, node))


def _path_shape(index: int, size: int) -> tuple[int, int]:
    """Return how many hashes of a path stand beside complete and beside partial subtrees.

    From the level where the way of `index` meets the right edge of the tree, only left neighbours follow.
    """
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _climb(seed: bytes, path: Sequence[bytes], index: int, inner: int) -> bytes:
    for level, each in enumerate(path):
        is_right = level >= inner or index >> level & 1
        seed = node_hash(each, seed) if is_right else node_hash(seed, each)
    return seed


def _climb_left(seed: bytes, path: Sequence[bytes], index: int, inner: int) -> bytes:
    """Climb as in `_climb`, over left neighbours alone: the tree as it was when `index` was its edge."""
    for level, each in enumerate(path):
        if level >= inner or index >> level & 1:
            seed = node_hash(each, seed)
    return seed


def _require_hashes(path: Sequence[bytes], count: int, *, step: int) -> None:
    if len(path) != count or any(len(each) != HASH_BYTES for each in path):
        raise NotVerified(f"the proof needs {count} hashes of 32 bytes", step=step)


def _require_trivial(first_root: bytes, expected: bytes, proof: Sequence[bytes]) -> None:
    if first_root != expected or proof:
        raise NotVerified("the two roots do not follow from each other", step=2)
