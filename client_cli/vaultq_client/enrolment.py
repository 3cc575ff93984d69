"""Enrolment, the client's side (docs/spec/enrolment.md): pin the roots, prove fresh keys, wait, verify, keep.

The first connection trusts nobody and asks for the two roots only. Id and password leave over a second
one, whose server stands under the root that the fingerprint named. An unfinished enrolment is sealed
like an identity, so that a client that was killed goes on waiting.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from vaultq_client.home import Home
from vaultq_client.identity import (
    Identity,
    StoredKeys,
    keys_from_bytes,
    keys_to_bytes,
    read_sealed,
    store_identity,
)
from vaultq_client.seen import load_seen
from vaultq_client.tls import client_context, unverified_context
from vaultq_client.transport import Body, Transport, decode_body
from vaultq_client.vault_view import Pins, VaultView, fetch_info, verify_roots, verify_vault
from vaultq_core.crypto import passphrase as box
from vaultq_core.crypto.chains import TrustAnchors, VerifiedDoctor, verify_doctor
from vaultq_core.crypto.enrolment import DoctorKeys, make_enrolment
from vaultq_core.crypto.fingerprints import spki
from vaultq_core.crypto.keys import generate_p256, generate_signing_keys
from vaultq_core.crypto.steps import step
from vaultq_core.crypto.x509_profile import issuer_public_key, load_certificate
from vaultq_core.errors import Conflict, IdentityInvalid, NotVerified, Unavailable
from vaultq_core.private_files import write_private
from vaultq_core.wire import canonical, paths
from vaultq_core.wire.api import EnrolmentOpened, EnrolmentOpening, EnrolmentState, Roots
from vaultq_core.wire.ids import DoctorId, Key32, Line, Time
from vaultq_core.wire.limits import SIGNED_MANIFEST_BYTES
from vaultq_core.wire.manifest import CertificatePair
from vaultq_core.wire.statements import EnrolmentRequest
from vaultq_core.words import fingerprint_words

LABEL = "vaultq/enrolment-state/v1"
POLL_SECONDS = 3.0
Clock = Callable[[], dt.datetime]


class StoredEnrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An enrolment that waits: its secret for the listener, the keys, and the exact request that proves them."""

    type: Literal["vaultq/enrolment-state/v1"] = "vaultq/enrolment-state/v1"
    doctor: DoctorId
    name: Line
    enrolment_address: Line
    records_address: Line
    roots: Roots
    secret: Key32
    expires: Time
    keys: StoredKeys
    request: EnrolmentRequest

    def __repr__(self) -> str:
        """Hide the secret and the keys."""
        return f"StoredEnrolment(doctor={self.doctor!r})"


@dataclass(frozen=True, slots=True)
class Application:
    """What a doctor was given to enrol with: id, one-time password, two addresses, two fingerprints."""

    doctor: str
    enrolment_address: str
    records_address: str
    pins: Pins
    password: str = field(repr=False)


class Enrolment:
    """One enrolment on its way; `begin` and `resume` make it."""

    def __init__(self, home: Home, stored: StoredEnrolment, passphrase: str, now: Clock) -> None:
        self.home = home
        self._stored, self._passphrase, self._now = stored, passphrase, now
        roots = stored.roots
        self._anchors = TrustAnchors(load_certificate(roots.hospital), load_certificate(roots.pq))
        self._transport = Transport(stored.enrolment_address, client_context(self._anchors.hospital))

    @property
    def doctor(self) -> str:
        """The doctor's id."""
        return self._stored.doctor

    @property
    def name(self) -> str:
        """The doctor's name, as the administrator wrote it."""
        return self._stored.name

    @property
    def words(self) -> tuple[str, ...]:
        """The seven words to read to the administrator by phone."""
        return fingerprint_words(self._stored.request.statement)

    def state(self) -> EnrolmentState:
        """Return where the enrolment stands; hand the request over if the vault does not have it yet."""
        path = f"{paths.ENROLMENTS}/{self.doctor}"
        bearer = self._stored.secret.hex()
        state = decode_body(self._transport.get(path, limit=SIGNED_MANIFEST_BYTES, bearer=bearer), EnrolmentState)
        if state.state != "open":
            return state
        body = Body.json(self._stored.request)
        sent = self._transport.send("PUT", path, body, limit=SIGNED_MANIFEST_BYTES, bearer=bearer)
        return decode_body(sent, EnrolmentState)

    def wait(self, sleep: Callable[[float], None]) -> CertificatePair:
        """Ask every few seconds until the certificates are there; `sleep` takes seconds.

        A vault that is away for a while is asked again. Raises IdentityInvalid once rejected.
        """
        while True:
            try:
                state = self.state()
            except Unavailable:
                state = EnrolmentState(state="pending")
            if state.state == "rejected":
                self.home.enrolment.unlink(missing_ok=True)
                raise IdentityInvalid(
                    "the administrator has rejected this enrolment",
                    remedy="The words differed, or it was a mistake: ask for a new one-time password and enrol again.",
                )
            if state.certificates is not None:
                return state.certificates
            sleep(POLL_SECONDS)

    def finish(self, certificates: CertificatePair) -> Identity:
        """Verify the issued certificates and keep the identity. Raises NotVerified, and keeps nothing then."""
        view = _verified_view(self._transport, self._anchors, self.home, self._now())
        keys = keys_from_bytes(self._stored.keys)
        doctor = verify_issued(certificates, view, keys, self.doctor, self._now())
        identity = Identity(
            doctor=doctor.id,
            name=doctor.name,
            records_address=self._stored.records_address,
            anchors=self._anchors,
            certificates=certificates,
            keys=keys,
            outbox_key=secrets.token_bytes(32),
        )
        _keep_roots(self.home, self._anchors)
        store_identity(self.home, identity, self._passphrase)
        self.home.enrolment.unlink(missing_ok=True)
        return identity

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def begin(home: Home, application: Application, passphrase: str, now: Clock) -> Enrolment:
    """Open an enrolment and keep it, sealed, before anything is proven to the vault.

    Raises NotVerified for other roots than the pinned ones, WrongPassword, Conflict when this home has
    an identity or an unfinished enrolment already.
    """
    home.prepare()
    require_room(home)
    anchors = fetch_pinned_roots(application.enrolment_address, application.pins)
    with Transport(application.enrolment_address, client_context(anchors.hospital)) as transport:
        view = _verified_view(transport, anchors, home, now())
        opening = EnrolmentOpening(doctor=application.doctor, password=application.password)
        answer = transport.send("POST", paths.ENROLMENTS, Body.json(opening), limit=SIGNED_MANIFEST_BYTES)
    stored = _prove(application, decode_body(answer, EnrolmentOpened), view)
    sealed = box.seal(canonical.encode(stored), passphrase, label=LABEL)
    write_private(home.enrolment, sealed, create_only=True)
    return Enrolment(home, stored, passphrase, now)


def resume(home: Home, passphrase: str, now: Clock) -> Enrolment:
    """Go on with an enrolment that was begun. Raises IdentityInvalid without one, WrongPassphrase."""
    data = box.unseal(read_sealed(home.enrolment), passphrase, label=LABEL)
    return Enrolment(home, canonical.decode(data, StoredEnrolment, limit=box.BOX_BYTES), passphrase, now)


def require_room(home: Home) -> Home:
    """Return `home` if it holds neither an identity nor an unfinished enrolment. Raises Conflict."""
    if home.identity.exists():
        raise Conflict(
            f"{home.identity} holds an identity already",
            remedy="Enrol with another --home, or move the file to a safe place first.",
        )
    if home.enrolment.exists():
        raise Conflict(
            f"{home.enrolment} is an enrolment that is not finished",
            remedy="Run `vaultq enroll` without arguments to go on with it, or add --restart to give it up.",
        )
    return home


def fetch_pinned_roots(address: str, pins: Pins) -> TrustAnchors:
    """Ask whoever answers at `address` for the two roots, send nothing, and return them if they are the pinned ones."""
    with Transport(address, unverified_context()) as stranger:
        return verify_roots(fetch_info(stranger).roots, pins)


def verify_issued(
    pair: CertificatePair, view: VaultView, keys: DoctorKeys, doctor: str, at: dt.datetime
) -> VerifiedDoctor:
    """Prove that the vault issued what was applied for.

    1. Both certificates hold together under the two roots (`verify_doctor`).
    2. They name this doctor.
    3. They carry the three keys that this client made.

    Returns the doctor. Raises NotVerified, naming the step.
    """
    with step(1, "the issued certificates"):
        issued = verify_doctor(pair, view.trust, at)
    if issued.id != doctor:  # 2
        raise NotVerified("the certificates were issued to another doctor", step=2)
    public, tls = keys.signing.public(), issuer_public_key(load_certificate(pair.tls))
    carried = [spki(each) for each in (issued.keys.mldsa65, issued.keys.ecdsa_p256, tls)]
    if carried != [spki(each) for each in (public.mldsa65, public.ecdsa_p256, keys.tls.public_key())]:  # 3
        raise NotVerified("the certificates were issued for other keys than this client's", step=3)
    return issued


def _verified_view(transport: Transport, anchors: TrustAnchors, home: Home, at: dt.datetime) -> VaultView:
    lowest = load_seen(home, anchors.vault).statement_version
    return verify_vault(fetch_info(transport), anchors, at=at, lowest_version=lowest)


def _prove(application: Application, opened: EnrolmentOpened, view: VaultView) -> StoredEnrolment:
    keys = DoctorKeys(generate_signing_keys(), generate_p256())
    return StoredEnrolment(
        doctor=application.doctor,
        name=opened.name,
        enrolment_address=application.enrolment_address,
        records_address=application.records_address,
        roots=view.info.roots,
        secret=opened.secret,
        expires=opened.expires,
        keys=keys_to_bytes(keys),
        request=make_enrolment(view.info.vault, application.doctor, opened.nonce, keys),
    )


def _keep_roots(home: Home, anchors: TrustAnchors) -> None:
    for path, root in zip(home.roots, (anchors.hospital, anchors.pq), strict=True):
        write_private(path, _pem(root))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
