"""A PKCS#11 module in this process: loaded once, with the locks of the operating system, and restarted when stale.

python-pkcs11 calls C_Initialize without arguments, which turns SoftHSM's mutexes off; two threads then end the
process. So the module is finalised and initialised again with CKF_OS_LOCKING_OK, by its own function list.

It is loaded and started in a thread that ends then: SoftHSM leaves errors in OpenSSL's queue of the thread, and where
Python's ssl uses the same OpenSSL, the next use of TLS in that thread would fail with them.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import pkcs11

from vaultq_core.errors import ConfigInvalid, KeystoreUnavailable
from vaultq_keystore_pkcs11.errors import CONFIGURATION_REMEDY
from vaultq_keystore_pkcs11.gate import Gate

T = TypeVar("T")

_OK: Final = 0
_ALREADY_INITIALISED: Final = 0x191
_OS_LOCKING_OK: Final = 2
_LOGGED_IN: Final = (1, 3)  # CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS

# Places in CK_FUNCTION_LIST (PKCS#11 2.40, 3.6); place 0 is the version, padded to a pointer.
_INITIALIZE: Final = 1
_FINALIZE: Final = 2
_GET_SESSION_INFO: Final = 16
_LAST: Final = 68


class _InitializeArguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS: no functions of ours, the operating system's locks."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("create", "destroy", "lock", "unlock")),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


class _SessionInfo(ctypes.Structure):
    """CK_SESSION_INFO."""

    _fields_ = tuple((name, ctypes.c_ulong) for name in ("slot", "state", "flags", "error"))


class Module:
    """One module. `generation` grows with each restart, which ends every session that was opened before."""

    def __init__(self, path: str) -> None:
        """Load it. Raises ConfigInvalid for a file that is none, KeystoreUnavailable."""
        self.gate = Gate()
        self.generation = 0
        self._users = 0
        self._functions = _function_list(path)
        self.lib = _apart(lambda: _load(path))

    def restart(self, generation: int, seconds: float) -> None:
        """End all sessions and begin again, unless that was done since `generation`. Raises KeystoreUnavailable."""
        with self.gate.alone(seconds):
            if self.generation == generation:
                _apart(self._restart)

    def is_logged_in(self, session: int) -> bool:
        """Tell whether a session (its handle) lives and its user is logged in."""
        info = _SessionInfo()
        answer: int = self._functions(_GET_SESSION_INFO)(ctypes.c_ulong(session), ctypes.byref(info))
        return answer == _OK and info.state in _LOGGED_IN

    def join(self, seconds: float) -> None:
        """Count one more keystore that uses the module; the first one starts it. Raises KeystoreUnavailable."""
        with _lock:
            if not self._users:
                with self.gate.alone(seconds):
                    _apart(self._restart)
            self._users += 1

    def leave(self, seconds: float) -> None:
        """Count one less. The last one finalises the module, which logs out and closes every session.

        A single session is not closed: closing the one that logged in would log out the whole process.
        """
        with _lock, self.gate.alone(seconds):
            self._users -= 1
            if not self._users:
                self.generation += 1
                self._functions(_FINALIZE)(None)

    def _restart(self) -> None:
        self.generation += 1
        self._functions(_FINALIZE)(None)  # whatever it answers: C_Initialize says whether it worked
        arguments = _InitializeArguments(flags=_OS_LOCKING_OK)
        answer = self._functions(_INITIALIZE)(ctypes.byref(arguments))
        if answer not in (_OK, _ALREADY_INITIALISED):
            raise KeystoreUnavailable(
                f"the PKCS#11 module does not start: C_Initialize answered 0x{answer:x}", remedy=CONFIGURATION_REMEDY
            )


_lock = threading.RLock()
_modules: dict[str, Module] = {}


def require_module(path: str) -> None:
    """Raise ConfigInvalid when there is no file at `path`."""
    if not Path(path).is_file():
        raise ConfigInvalid(f"there is no PKCS#11 module at {path}", remedy="Correct `module` in vaultq.toml.")


def module_at(path: str, seconds: float) -> Module:
    """Return this process's module at `path`, joined. Raises what Module and `join` raise.

    Call it after the fork only: a child must not inherit a module.
    """
    with _lock:
        if path not in _modules:
            _modules[path] = Module(path)
        _modules[path].join(seconds)
        return _modules[path]


def _apart(act: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()


def _load(path: str) -> Any:
    try:
        return pkcs11.lib(path)
    except pkcs11.PKCS11Error as error:
        raise KeystoreUnavailable(
            f"the PKCS#11 module does not start: {type(error).__name__}", remedy=CONFIGURATION_REMEDY
        ) from None


def _function_list(path: str) -> Callable[[int], Callable[..., int]]:
    pointers = ctypes.POINTER(ctypes.c_void_p)()
    try:
        answer = ctypes.CDLL(path).C_GetFunctionList(ctypes.byref(pointers))
    except (OSError, AttributeError) as error:
        raise ConfigInvalid(
            f"{path} is no PKCS#11 module: {error}", remedy="Correct `module` in vaultq.toml."
        ) from None
    if answer != _OK:
        raise KeystoreUnavailable(f"the PKCS#11 module does not start: C_GetFunctionList answered 0x{answer:x}")
    kind = ctypes.CFUNCTYPE(ctypes.c_ulong, use_errno=False)

    def function(place: int) -> Callable[..., int]:
        address = pointers[place]
        if address is None:
            raise ConfigInvalid(f"{path} is no whole PKCS#11 module")
        return kind(address)

    return function
