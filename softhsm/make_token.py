"""Make a ready SoftHSM token in a directory of its own: for trying VaultQ out, for tests and for the demo.

    softhsm/make-token /srv/vaultq/token

Leaves softhsm2.conf, tokens/ and a file with a random PIN there, and prints the lines for vaultq.toml. The PINs go to
the module by its C interface: `softhsm2-util` would take them as arguments, which every user of the machine can read.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

LABEL = "vaultq"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",  # Debian, Ubuntu
    "/usr/lib64/pkcs11/libsofthsm2.so",  # Fedora, RHEL
    "/usr/local/lib/softhsm/libsofthsm2.so",  # built from source
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
CONFIGURATION = "softhsm2.conf"
TOKENS = "tokens"
PIN_FILE = "pin"
SO_PIN_FILE = "so-pin"

_LABEL_BYTES = 32
_SESSION = 0x4 | 0x2  # CKF_SERIAL_SESSION | CKF_RW_SESSION
_SECURITY_OFFICER = 0
_UNINITIALISED_SLOT = 64
_ULONG = ctypes.c_ulong


class CannotMake(Exception):
    """No token was made; the text says why."""


def find_module() -> str:
    """Return the path of SoftHSM's module. Raises CannotMake."""
    for path in MODULES:
        if Path(path).is_file():
            return path
    raise CannotMake("SoftHSM is not installed. On Debian: apt-get install softhsm2")


def make_token(directory: Path, *, label: str = LABEL, pin: str | None = None) -> None:
    """Make a token in `directory`, which is new or empty; without `pin`, a random one. Raises CannotMake.

    SoftHSM reads its configuration once a process, so this sets SOFTHSM2_CONF and finalises the module at the end.
    """
    if len(label.encode()) > _LABEL_BYTES:
        raise CannotMake(f"a token's label has at most {_LABEL_BYTES} bytes")
    tokens = directory / TOKENS
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise CannotMake(f"{directory} is not empty; nothing was touched")
    tokens.mkdir(mode=0o700)
    write_configuration(directory)
    pins = [_write_pin(directory / name, given) for name, given in ((PIN_FILE, pin), (SO_PIN_FILE, None))]
    _initialise(directory, label.encode().ljust(_LABEL_BYTES), pins[0], pins[1])


def write_configuration(directory: Path) -> None:
    """Say where the token lies: in a copy of the directory, anew."""
    text = f"directories.tokendir = {directory / TOKENS}\nobjectstore.backend = file\nlog.level = ERROR\n"
    (directory / CONFIGURATION).write_text(text, encoding="utf-8")


def _write_pin(path: Path, given: str | None) -> bytes:
    pin = given if given is not None else secrets.token_hex(16)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(pin + "\n")
    return pin.encode()


def _initialise(directory: Path, label: bytes, pin: bytes, so_pin: bytes) -> None:
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(directory / CONFIGURATION)
    module = ctypes.CDLL(find_module())
    _ask(module.C_Initialize, None)
    try:
        slot, session = _first_slot(module), _ULONG()
        _ask(module.C_InitToken, slot, so_pin, _ULONG(len(so_pin)), label)
        slot = _first_slot(module)  # an initialised token gets another slot
        _ask(module.C_OpenSession, slot, _ULONG(_SESSION), None, None, ctypes.byref(session))
        _ask(module.C_Login, session, _ULONG(_SECURITY_OFFICER), so_pin, _ULONG(len(so_pin)))
        _ask(module.C_InitPIN, session, pin, _ULONG(len(pin)))
    finally:
        module.C_Finalize(None)
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before


def _first_slot(module: ctypes.CDLL) -> ctypes.c_ulong:
    slots, count = (_ULONG * _UNINITIALISED_SLOT)(), _ULONG(_UNINITIALISED_SLOT)
    _ask(module.C_GetSlotList, ctypes.c_ubyte(1), slots, ctypes.byref(count))
    return _ULONG(slots[0])


def _ask(function: Callable[..., int], *arguments: object) -> None:
    answer = function(*arguments)
    if answer:
        raise CannotMake(f"SoftHSM answered 0x{answer:x} to {function.__name__}")


def main() -> int:
    """Make a token and say how to use it; return the exit status."""
    parser = argparse.ArgumentParser(prog="make-token", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, help="a new directory for the token")
    parser.add_argument("--label", default=LABEL, help="the token's label (default: %(default)s)")
    given = parser.parse_args()
    directory: Path = given.directory.resolve()
    try:
        module = find_module()
        make_token(directory, label=given.label)
    except (CannotMake, OSError) as error:
        print(f"make-token: {error}", file=sys.stderr)
        return 1
    print(f"A token `{given.label}` is ready in {directory}. In vaultq.toml:\n")
    print(f'[keystore]\nname = "pkcs11"\n\n[keystore.pkcs11]\nmodule = "{module}"')
    print(f'token = "{given.label}"\npin_file = "{directory / PIN_FILE}"\n')
    print("SoftHSM finds it by its configuration, in the environment of every vaultq-server command:\n")
    print(f"export SOFTHSM2_CONF={directory / CONFIGURATION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
