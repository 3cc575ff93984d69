"""A login to one token that lasts: sessions in a pool, and a fresh start when they are gone.

`Token.run(act)` gives `act` a session that is logged in. Sessions end when the token is taken out, when somebody else
in this process logs out or finalises the module; the call that meets it begins again once, and later ones go on.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, ObjectClass

from vaultq_core.errors import KeystoreError, KeystoreUnavailable, VaultQError, WrongPassphrase
from vaultq_core.spi.secrets import Secret
from vaultq_keystore_pkcs11.errors import STALE, login_error, run_error
from vaultq_keystore_pkcs11.module import Module, module_at, require_module
from vaultq_keystore_pkcs11.settings import Target
from vaultq_keystore_pkcs11.templates import APPLICATION, MAPPER
from vaultq_keystore_pkcs11.turn import Turn

T = TypeVar("T")
_PAUSE_SECONDS: Final = 0.5
_TRIES: Final = 3  # with a handle that was kept, with one looked up anew, and after a fresh start


class StaleSession(Exception):
    """Nothing of ours is seen in this session any more."""


@dataclass(slots=True)
class Session:
    """An open session, and the keys that were found in it by label and class."""

    raw: Any
    token: Token
    keys: dict[tuple[str, ObjectClass], Any] = field(default_factory=dict)

    def find(self, template: dict[Attribute, Any]) -> list[Any]:
        """Return the objects that match, all of them."""
        return list(self.raw.get_objects(template))

    def require_sight(self) -> None:
        """Tell an object that is not there from a session that sees nothing. Raises StaleSession."""
        if self.token.holds_marks and not self.find(MARKS):
            raise StaleSession


MARKS: Final = {Attribute.CLASS: ObjectClass.DATA, Attribute.APPLICATION: APPLICATION}


class Token:
    """One token, logged in to. Threads share it; calls of `sessions` of them are inside at once."""

    def __init__(self, target: Target, pin: Secret, *, sessions: int, seconds: float) -> None:
        """Log in. Raises WrongPassphrase, KeystoreUnavailable, KeystoreError, ConfigInvalid."""
        self.target = target
        self.holds_marks = False
        self._pin = pin
        self._seconds = seconds
        self._count = sessions
        self._refused: WrongPassphrase | None = None
        self._is_closed = False
        self._pool: queue.LifoQueue[Session] = queue.LifoQueue()
        self._generation = 0
        self._lost_at = 0.0
        require_module(target.module)
        self.turn = Turn(target.module, seconds)
        with self.turn.take():
            self._module: Module = module_at(target.module, seconds)
            try:
                self._open()
            except VaultQError:
                self.close()
                raise

    def run(self, act: Callable[[Session], T]) -> T:
        """Return what `act` does with a session. It may be called again when the session turns out to be stale.

        Raises KeystoreUnavailable when the token is away, hangs or is closed; what `act` raises; a PKCS11Error of
        `act` as VaultQ's error for it.
        """
        what = ""
        for left in reversed(range(_TRIES)):
            generation = self._generation
            try:
                with self._session() as session:
                    return _forgetting_handles(act, session)
            except StaleSession:
                what, is_stale = "its login is gone", True
            except STALE as error:  # at first, perhaps no more than an object that another process destroyed
                what, is_stale = type(error).__name__, left < _TRIES - 1
            except pkcs11.PKCS11Error as error:
                raise run_error(error) from None
            if is_stale and left:
                self._reopen(generation)
        raise KeystoreUnavailable(f"the token does not answer: {what}")

    @property
    def place(self) -> str:
        """The token's label and serial number."""
        return f"{self._token.label} ({serial_of(self._token)})"

    def describe(self) -> tuple[pkcs11.Token, Module]:
        """Return the token and its module, to be asked about themselves inside `run`."""
        return self._token, self._module

    def close(self) -> None:
        """Let go of the module; the last keystore in this process logs out."""
        if not self._is_closed:
            self._is_closed = True
            with suppress(KeystoreUnavailable):  # a call hangs in the module: it ends with the process
                self._module.leave(self._seconds)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._module.gate.inside(self._seconds):
            if self._is_closed:
                raise KeystoreUnavailable("the keystore is closed")
            if self._generation != self._module.generation:
                raise StaleSession
            pool = self._pool
            try:
                session = pool.get(timeout=self._seconds)
            except queue.Empty:
                raise KeystoreUnavailable(f"the token had no session free for {self._seconds:g} s") from None
            try:
                if not self._module.is_logged_in(session.raw.handle):
                    raise StaleSession
                yield session
            finally:
                pool.put(session)

    def _reopen(self, generation: int) -> None:
        with self.turn.take():
            if self._generation != generation:
                return  # another thread did it meanwhile
            if self._refused is not None:
                raise self._refused  # a PIN that was refused is not tried again
            self._require_pause()
            if self._lost_at or self._module.generation == generation:
                # A module that was started without the token does not see it come back.
                self._module.restart(self._module.generation, self._seconds)
            self._lost_at = time.monotonic()
            self._open()
            self._lost_at = 0.0

    def _require_pause(self) -> None:
        # A restart ends the sessions of every keystore of this process, so a token that is away costs few of them.
        if self._lost_at and time.monotonic() < self._lost_at + _PAUSE_SECONDS:
            raise KeystoreUnavailable(f"the token with {self.target} is away")

    def _open(self) -> None:
        with self._module.gate.inside(self._seconds):
            generation = self._module.generation
            self._token = _find(self._module, self.target)
            sessions = [self._login(), *(self._further() for _ in range(self._count - 1))]
            pool: queue.LifoQueue[Session] = queue.LifoQueue()
            for each in sessions:
                pool.put(Session(each, self))
            self.holds_marks = bool(list(sessions[0].get_objects(MARKS)))
            self._pool, self._generation = pool, generation

    def _login(self) -> Any:
        try:
            return self._token.open(rw=True, user_pin=self._pin.reveal(), attribute_mapper=MAPPER)
        except pkcs11.UserAlreadyLoggedIn:  # by another keystore of this process
            return self._further()
        except pkcs11.PKCS11Error as error:
            failure = login_error(error)
        if isinstance(failure, WrongPassphrase):
            self._refused = failure
        raise failure

    def _further(self) -> Any:
        try:
            return self._token.open(rw=True, attribute_mapper=MAPPER)
        except pkcs11.PKCS11Error as error:
            raise run_error(error) from None


def _forgetting_handles(act: Callable[[Session], T], session: Session) -> T:
    try:
        return act(session)
    except (*STALE, StaleSession):
        session.keys.clear()
        raise


def _find(module: Module, target: Target) -> pkcs11.Token:
    try:
        present: list[pkcs11.Token] = [slot.get_token() for slot in module.lib.get_slots(token_present=True)]
        present = [token for token in present if pkcs11.TokenFlag.TOKEN_INITIALIZED in token.flags]
    except pkcs11.PKCS11Error as error:
        raise run_error(error) from None
    found = [token for token in present if _is_meant(token, target)]
    if len(found) > 1:
        raise KeystoreError(
            f"there are {len(found)} tokens with {target}", remedy="Name the token's `serial` in vaultq.toml as well."
        )
    if not found:
        names = ", ".join(f"`{token.label}` (serial {serial_of(token)})" for token in present) or "none"
        raise KeystoreUnavailable(
            f"there is no token with {target}; present: {names}",
            remedy="Insert it or switch it on; or correct its name in vaultq.toml.",
        )
    return found[0]


def _is_meant(token: pkcs11.Token, target: Target) -> bool:
    return (
        target.label in (None, token.label)
        and target.serial in (None, serial_of(token))
        and target.slot in (None, token.slot.slot_id)
    )


def serial_of(token: pkcs11.Token) -> str:
    """Return a token's serial number as text."""
    return token.serial.decode(errors="replace").strip()
