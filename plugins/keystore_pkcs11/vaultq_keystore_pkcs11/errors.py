"""What the exceptions of python-pkcs11 mean, as VaultQ's errors. Most of them say nothing but their class."""

from __future__ import annotations

from typing import Final

import pkcs11

from vaultq_core.errors import KeystoreError, KeystoreUnavailable, VaultQError, WrongPassphrase

CONFIGURATION_REMEDY: Final = (
    "Check the module's own configuration; SoftHSM reads the file that SOFTHSM2_CONF names, in the server's "
    "environment, and needs its directory of tokens."
)
PIN_REMEDY: Final = (
    "Check the PIN before you start again: it is tried once a start, and an HSM locks itself after a few wrong ones."
)

STALE: Final = (
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
    pkcs11.UserNotLoggedIn,
    pkcs11.ObjectHandleInvalid,
    pkcs11.KeyHandleInvalid,
    pkcs11.WrappingKeyHandleInvalid,
    pkcs11.UnwrappingKeyHandleInvalid,
    pkcs11.DeviceRemoved,
    pkcs11.DeviceError,
    pkcs11.TokenNotPresent,
)
"""Sessions, handles or the login are gone; a restart of the module cures it. Not GeneralError: that is a wrong tag."""


def login_error(error: pkcs11.PKCS11Error) -> VaultQError:
    """Return what a failed login means."""
    match error:
        case pkcs11.PinIncorrect() | pkcs11.PinInvalid() | pkcs11.PinLenRange():
            return WrongPassphrase("the token refuses the PIN", remedy=PIN_REMEDY)
        case pkcs11.PinLocked() | pkcs11.PinExpired():
            return WrongPassphrase(
                f"the token's PIN cannot be used: {type(error).__name__}",
                remedy="Let the HSM's security officer unlock it or set a new one.",
            )
        case pkcs11.UserPinNotInitialized():
            return KeystoreError("the token has no user PIN yet", remedy="Set one with the HSM's own tools.")
    return run_error(error)


def run_error(error: pkcs11.PKCS11Error) -> VaultQError:
    """Return what an error of a call means that has no meaning of its own there."""
    name = type(error).__name__
    match error:
        case pkcs11.MechanismInvalid() | pkcs11.MechanismParamInvalid() | pkcs11.FunctionNotSupported():
            return KeystoreError(
                f"the token cannot do what VaultQ needs: {name}",
                remedy="`vaultq-server check` lists its mechanisms; softhsm/README.md says which are needed.",
            )
        case pkcs11.TokenWriteProtected() | pkcs11.SessionReadOnly():
            return KeystoreError(f"the token takes no changes: {name}", remedy="Make it writable, then try again.")
        case pkcs11.DeviceMemory():
            return KeystoreError(f"the token is full: {name}", remedy="Retire keys that nothing cites any more.")
    return KeystoreUnavailable(f"the token does not answer: {name}")


def creation_error(error: pkcs11.PKCS11Error) -> VaultQError:
    """Return what a failure to make a key means; SoftHSM says FunctionFailed when it cannot write."""
    match error:
        case pkcs11.FunctionFailed() | pkcs11.GeneralError():
            return KeystoreError(
                f"the token could not keep a new key: {type(error).__name__}",
                remedy="Is it full, or may its directory not be written? Nothing was changed.",
            )
    return run_error(error)
