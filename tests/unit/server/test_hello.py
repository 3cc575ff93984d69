"""Reading off a server's first answer which key exchange it chose."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from OpenSSL import SSL

from tests.fixtures.edge_pki import EdgePki
from vaultq_core.errors import Malformed
from vaultq_core.server.checks.hello import POST_QUANTUM, chosen_group, client_hello, is_whole
from vaultq_core.server.tls import server_context


def newer_openssls_answer(pki: EdgePki, hello: bytes) -> bytes:
    """Return what an OpenSSL that has ML-KEM says; pyOpenSSL brings one."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_privatekey(pki.server.key)
    context.use_certificate(pki.server.chain[0])
    server = SSL.Connection(context, None)
    server.set_accept_state()
    server.bio_write(hello)
    with suppress(SSL.WantReadError):
        server.do_handshake()
    return server.bio_read(65536)


def pythons_answer(pki: EdgePki, hello: bytes) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(pki.server, None).wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    with suppress(ssl.SSLWantReadError):
        server.do_handshake()
    return outgoing.read()


def test_a_server_that_has_it_chooses_the_post_quantum_group(pki: EdgePki) -> None:
    assert chosen_group(newer_openssls_answer(pki, client_hello())) == POST_QUANTUM


def test_what_pythons_openssl_chooses_is_what_its_version_can(pki: EdgePki) -> None:
    can = ssl.OPENSSL_VERSION_INFO >= (3, 5)
    assert chosen_group(pythons_answer(pki, client_hello())) == (POST_QUANTUM if can else "X25519")


def test_an_answer_that_is_cut_off_is_refused_everywhere(pki: EdgePki) -> None:
    answer = newer_openssls_answer(pki, client_hello())
    record = answer[: 5 + int.from_bytes(answer[3:5], "big")]

    assert is_whole(record)
    assert not any(is_whole(record[:length]) for length in range(len(record)))
    for length in range(len(record) - 2):
        with pytest.raises(Malformed):
            chosen_group(record[:length])


@pytest.mark.parametrize(
    "answer", [b"", b"\x15\x03\x03\x00\x02\x02\x28", b"HTTP/1.1 400 Bad Request\r\n", b"\x16\x03\x03\x00\x01\x0b" * 20]
)
def test_what_is_no_server_hello_is_refused(answer: bytes) -> None:
    with pytest.raises(Malformed):
        chosen_group(answer)
