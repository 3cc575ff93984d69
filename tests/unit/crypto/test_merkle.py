"""RFC 6962 trees, against the RFC's own recursive definition and the reference tree of certificate-transparency."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultq_core.crypto.merkle import (
    EMPTY_ROOT,
    Frontier,
    NodeGetter,
    consistency_proof,
    inclusion_path,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from vaultq_core.errors import Malformed, NotVerified

REFERENCE_LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
REFERENCE_PATHS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
REFERENCE_CONSISTENCY = {
    (1, 1): [],
    (1, 8): REFERENCE_PATHS[(0, 8)],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1."""
    if len(leaves) < 2:
        return leaf_hash(leaves[0]) if leaves else hashlib.sha256(b"").digest()
    split = max(1 << bit for bit in range(32) if 1 << bit < len(leaves))
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) < 2:
        return []
    split = max(1 << bit for bit in range(32) if 1 << bit < len(leaves))
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_subproof(first: int, leaves: list[bytes], *, known: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if first == len(leaves):
        return [] if known else [naive_root(leaves)]
    split = max(1 << bit for bit in range(32) if 1 << bit < len(leaves))
    if first <= split:
        return [*naive_subproof(first, leaves[:split], known=known), naive_root(leaves[split:])]
    return [*naive_subproof(first - split, leaves[split:], known=False), naive_root(leaves[:split])]


def grown(leaves: list[bytes]) -> tuple[Frontier, NodeGetter]:
    """The frontier over all leaves, and every complete node that appending them gave."""
    frontier, nodes = Frontier(), {}
    for each in leaves:
        frontier, new = frontier.append(leaf_hash(each))
        nodes.update({(node.level, node.index): node.hash for node in new})
    return frontier, lambda level, index: nodes[level, index]


leaves_lists = st.integers(1, 70).map(lambda count: [bytes([number]) for number in range(count)])


def test_the_empty_tree_has_the_root_of_the_rfc() -> None:
    assert (
        Frontier().root()
        == EMPTY_ROOT
        == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )


@pytest.mark.parametrize("size", range(1, 9))
def test_the_reference_leaves_have_their_known_roots(size: int) -> None:
    assert grown(REFERENCE_LEAVES[:size])[0].root().hex() == REFERENCE_ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size"), REFERENCE_PATHS)
def test_the_reference_leaves_have_their_known_inclusion_paths(index: int, size: int) -> None:
    path = inclusion_path(index, size, grown(REFERENCE_LEAVES)[1])

    assert [each.hex() for each in path] == REFERENCE_PATHS[index, size]
    root = bytes.fromhex(REFERENCE_ROOTS[size - 1])
    assert verify_inclusion(leaf_hash(REFERENCE_LEAVES[index]), index, size, path, root) == root


@pytest.mark.parametrize(("first", "second"), REFERENCE_CONSISTENCY)
def test_the_reference_trees_have_their_known_consistency_proofs(first: int, second: int) -> None:
    proof = consistency_proof(first, second, grown(REFERENCE_LEAVES)[1])

    assert [each.hex() for each in proof] == REFERENCE_CONSISTENCY[first, second]
    roots = [bytes.fromhex(REFERENCE_ROOTS[size - 1]) for size in (first, second)]
    assert verify_consistency(first, roots[0], second, roots[1], proof) == roots[1]


@given(leaves_lists, st.data())
def test_paths_equal_the_rfcs_recursion_and_verify(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    frontier, node = grown(leaves)

    path = inclusion_path(index, len(leaves), node)

    assert frontier.root() == naive_root(leaves)
    assert list(path) == naive_path(index, leaves)
    root = frontier.root()
    assert verify_inclusion(leaf_hash(leaves[index]), index, len(leaves), path, root) == root


@given(leaves_lists, st.data())
def test_consistency_proofs_equal_the_rfcs_recursion_and_verify(leaves: list[bytes], data: st.DataObject) -> None:
    first = data.draw(st.integers(1, len(leaves)))
    root = naive_root(leaves)

    proof = consistency_proof(first, len(leaves), grown(leaves)[1])

    assert list(proof) == naive_subproof(first, leaves, known=True)
    assert verify_consistency(first, naive_root(leaves[:first]), len(leaves), root, proof) == root


@given(leaves_lists, st.data())
def test_no_path_proves_another_leaf_or_another_place(leaves: list[bytes], data: st.DataObject) -> None:
    index, claimed = (data.draw(st.integers(0, len(leaves) - 1)) for _ in range(2))
    frontier, node = grown(leaves)
    path = inclusion_path(index, len(leaves), node)

    with pytest.raises(NotVerified):
        verify_inclusion(leaf_hash(b"forged"), index, len(leaves), path, frontier.root())
    if claimed != index:
        with pytest.raises(NotVerified):
            verify_inclusion(leaf_hash(leaves[index]), claimed, len(leaves), path, frontier.root())


@given(leaves_lists, st.data())
def test_a_log_that_was_rewritten_is_not_consistent(leaves: list[bytes], data: st.DataObject) -> None:
    first = data.draw(st.integers(1, len(leaves)))
    changed = data.draw(st.integers(0, first - 1))
    rewritten = [*leaves[:changed], b"rewritten", *leaves[changed + 1 :]]

    proof = consistency_proof(first, len(leaves), grown(rewritten)[1])

    with pytest.raises(NotVerified):
        verify_consistency(first, naive_root(leaves[:first]), len(leaves), naive_root(rewritten), proof)


def test_an_index_outside_the_tree_is_refused_at_step_1() -> None:
    with pytest.raises(NotVerified, match="step 1"):
        verify_inclusion(leaf_hash(b"\x00"), 1, 1, (), leaf_hash(b"\x00"))


@pytest.mark.parametrize("path", [(), (b"short",), (b"h" * 32, b"h" * 32)])
def test_a_path_of_another_shape_is_refused_at_step_2(path: tuple[bytes, ...]) -> None:
    with pytest.raises(NotVerified, match="step 2"):
        verify_inclusion(leaf_hash(b"\x00"), 0, 2, path, b"r" * 32)


def test_an_inner_node_is_not_taken_for_a_leaf() -> None:
    frontier, node = grown(REFERENCE_LEAVES[:4])

    with pytest.raises(NotVerified, match="step 2"):
        verify_inclusion(node(1, 0), 0, 4, (node(1, 1),), frontier.root())
    with pytest.raises(NotVerified, match="step 3"):
        verify_inclusion(leaf_hash(node(0, 0) + node(0, 1)), 0, 2, (node(1, 1),), frontier.root())


def test_a_log_that_shrank_is_refused_at_step_1() -> None:
    with pytest.raises(NotVerified, match="step 1"):
        verify_consistency(3, b"r" * 32, 2, b"r" * 32, ())


def test_equal_sizes_with_two_roots_are_a_fork_refused_at_step_2() -> None:
    with pytest.raises(NotVerified, match="step 2"):
        verify_consistency(3, b"r" * 32, 3, b"s" * 32, ())


def test_hashes_too_many_are_refused_at_step_3() -> None:
    roots = [bytes.fromhex(each) for each in REFERENCE_ROOTS]
    proof = consistency_proof(6, 8, grown(REFERENCE_LEAVES)[1])

    for wrong in ((), proof[:-1], (*proof, proof[0])):
        with pytest.raises(NotVerified, match="step 3"):
            verify_consistency(6, roots[5], 8, roots[7], wrong)


def test_every_log_continues_the_empty_one() -> None:
    root = grown(REFERENCE_LEAVES)[0].root()

    assert verify_consistency(0, EMPTY_ROOT, 8, root, consistency_proof(0, 8, lambda _level, _index: b"")) == root
    with pytest.raises(NotVerified, match="step 2"):
        verify_consistency(0, root, 8, root, ())


@given(st.integers(0, 300))
def test_a_frontier_survives_encoding_and_names_its_nodes(size: int) -> None:
    frontier, node = grown([bytes([number % 256]) for number in range(size)])

    assert Frontier.decode(frontier.encode()) == frontier
    assert all(node(each.level, each.index) == each.hash for each in frontier.nodes())
    covered = [(each.index << each.level, each.index + 1 << each.level) for each in frontier.nodes()]
    assert all(left[1] == right[0] for left, right in pairwise([(0, 0), *covered, (size, size)]))


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"\x00" * 40, (3).to_bytes(8, "big") + b"h" * 32])
def test_a_frontier_of_the_wrong_length_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        Frontier.decode(data)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (8, 8), (-1, 8)])
def test_a_path_to_no_leaf_cannot_be_made(index: int, size: int) -> None:
    with pytest.raises(Malformed):
        inclusion_path(index, size, grown(REFERENCE_LEAVES)[1])


@pytest.mark.parametrize(("first", "second"), [(-1, 8), (5, 4)])
def test_a_proof_backwards_cannot_be_made(first: int, second: int) -> None:
    with pytest.raises(Malformed):
        consistency_proof(first, second, grown(REFERENCE_LEAVES)[1])
