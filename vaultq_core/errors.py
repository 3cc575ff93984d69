"""Every error that VaultQ raises on purpose; docs/errors.md lists them for people.

An error is advice: `code` never changes and is what scripts and problem details carry, `str()` says
what happened, `remedy` what to do about it. `exit_status` is what a command ends with.
Messages never hold a secret, a patient's name, a record number or a title.
"""

from __future__ import annotations

from typing import ClassVar


class VaultQError(Exception):
    """Something a caller can act on. Raise one of its subclasses."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1
    advice: ClassVar[str] = "Run the command again; if it happens again, ask your administrator."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = self.advice if remedy is None else remedy


# --- what was sent cannot be used -----------------------------------------------------------------


class Malformed(VaultQError):
    """The bytes are not what the format allows (unknown field, not canonical, wrong length)."""

    code = "malformed"
    exit_status = 65
    advice = "The data is damaged or comes from another version of VaultQ; nothing was changed."


class UnknownSuite(Malformed):
    """The suite id is not one that may be read (or written) here."""

    code = "unknown-suite"
    advice = "Update VaultQ on the side that refuses; a suite is never negotiated down."


class LimitExceeded(Malformed):
    """The input is larger, or there are more of it, than a named limit allows."""

    code = "limit-exceeded"
    advice = "Send less, or ask the operator to raise the named limit under [limits]."


class Usage(VaultQError):
    """A command was called with arguments that contradict each other or name nothing."""

    code = "usage"
    exit_status = 64
    advice = "See the command's --help."


# --- what was sent cannot be trusted --------------------------------------------------------------


class NotVerified(VaultQError):
    """A signature, hash, chain or proof does not hold. Nothing it covers may be used.

    `step` is the number of the failed step in the verifier's docstring.
    """

    code = "not-verified"
    exit_status = 76
    advice = "Do not use this data. Keep it as it is and tell your administrator."

    def __init__(self, message: str, *, step: int | None = None, remedy: str | None = None) -> None:
        super().__init__(message if step is None else f"step {step}: {message}", remedy=remedy)
        self.step = step


class CannotVerify(NotVerified):
    """It could not be checked (a key, certificate or log is missing), which is not a pass."""

    code = "cannot-verify"
    advice = "Get the missing key or certificate from the vault, then verify again."


class RecordDamaged(VaultQError):
    """A stored record, or its row, is not what was stored: it was changed, cut or lost on disk."""

    code = "record-damaged"
    exit_status = 76
    advice = "Nothing of it was handed out. Tell the operator, who can restore the object from a backup."


# --- who asks may not -----------------------------------------------------------------------------


class NotAuthenticated(VaultQError):
    """No verified certificate, or one that the registry does not know as active."""

    code = "not-authenticated"
    exit_status = 77
    advice = "Enrol again, or ask your administrator whether your certificate was revoked."


class WrongPassword(NotAuthenticated):
    """Doctor id and one-time password do not belong together, or the password is spent or expired."""

    code = "wrong-password"
    advice = "Check id and one-time password; ask the administrator for a new password after 5 tries or 72 hours."


class NotPermitted(VaultQError):
    """The caller is known, and this is not allowed to them."""

    code = "not-permitted"
    exit_status = 77
    advice = "Ask somebody who holds more rights on this patient to grant them."


class NotFound(VaultQError):
    """There is no such thing, or the caller may not know that there is."""

    code = "not-found"
    exit_status = 66
    advice = "Check the id; if it is right, you have no grant on this patient."


class Conflict(VaultQError):
    """The id is taken by something else, or the state does not allow this step (any more)."""

    code = "conflict"
    exit_status = 73
    advice = "Look at the present state before you try again; nothing was changed."


class TooManyRequests(VaultQError):
    """A rate limit or a number of parallel requests is used up; `retry_after` is in seconds."""

    code = "too-many-requests"
    exit_status = 75
    advice = "Wait, then try again."

    def __init__(self, message: str, *, retry_after: int = 5, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


# --- what is needed is not there ------------------------------------------------------------------


class Unavailable(VaultQError):
    """Something needed does not answer now; nothing half-done counts. `retry_after` is in seconds."""

    code = "unavailable"
    exit_status = 75
    advice = "Try again in a moment; a retry is safe."

    def __init__(self, message: str, *, retry_after: int = 2, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class TooSlow(Unavailable):
    """A body stalled, or came slower than a named limit allows."""

    code = "too-slow"
    advice = "Check the network, then send it again; a retry is safe."


class KeystoreUnavailable(Unavailable):
    """The keystore (file, token, HSM) does not answer."""

    code = "keystore-unavailable"


class StorageUnavailable(Unavailable):
    """The object storage does not answer or has no room."""

    code = "storage-unavailable"


class RegistryUnavailable(Unavailable):
    """The database does not answer or is locked for too long."""

    code = "registry-unavailable"


class CannotConnect(Unavailable):
    """The vault could not be reached, or the TLS handshake failed before anything was said."""

    code = "cannot-connect"
    exit_status = 69
    advice = "Check address and network; `vaultq whoami` shows how long your certificate is valid."


# --- keystores and storages -----------------------------------------------------------------------


class KeystoreError(VaultQError):
    """The keystore refuses: damaged, of another vault, or used against its rules."""

    code = "keystore-error"
    exit_status = 78
    advice = "Check the [keystore] section and the keystore itself; restore it from its backup if it is damaged."


class KeyNotFound(KeystoreError):
    """The keystore holds no such key, version or purpose."""

    code = "key-not-found"


class WrongPassphrase(KeystoreError):
    """The passphrase or PIN does not open it (or the sealed bytes were changed)."""

    code = "wrong-passphrase"
    exit_status = 77
    advice = "Check the passphrase. It is never stored: without it, restore from the recovery key."


class InsecureFile(KeystoreError):
    """A secret file is a link, has the wrong owner, or can be read or replaced by others."""

    code = "insecure-file"
    advice = "chown it to the user of VaultQ and chmod it to 600, its directory to 700."


class StorageError(VaultQError):
    """The storage refuses: a name that is not allowed, or a broken layout."""

    code = "storage-error"
    exit_status = 74
    advice = "Check the [storage] section and the space and rights at its place."


class ObjectExists(StorageError):
    """Create-only: an object of that name is there already."""

    code = "object-exists"


class ObjectMissing(StorageError):
    """There is no object of that name."""

    code = "object-missing"


# --- set-up ---------------------------------------------------------------------------------------


class ConfigInvalid(VaultQError):
    """The configuration has an unknown key, a wrong value, or names something that isn't there."""

    code = "config-invalid"
    exit_status = 78
    advice = "Correct the named line of vaultq.toml; docs/operations.md lists every setting."


class PluginInvalid(ConfigInvalid):
    """A named plug-in is not installed, is claimed twice, or does not fit this version."""

    code = "plugin-invalid"
    advice = "Install the distribution that carries the plug-in, or correct its name in vaultq.toml."


class AddressInUse(VaultQError):
    """A listener's address is taken by another process."""

    code = "address-in-use"
    exit_status = 71
    advice = "Stop the other process, or choose another port under [listeners]."


class IdentityInvalid(VaultQError):
    """This client has no identity, or an unfinished or unreadable one."""

    code = "identity-invalid"
    exit_status = 78
    advice = "Run `vaultq enroll`, or point --home at the directory that holds your identity."
