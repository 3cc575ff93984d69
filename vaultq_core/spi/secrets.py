"""How a passphrase or PIN reaches a plug-in: through a callback that gives a Secret.

Never through argv, and never as the value of a setting: the configuration may be read by many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from vaultq_core.errors import ConfigInvalid
from vaultq_core.private_files import read_private

SECRET_BYTES = 1024
CREDENTIALS = "CREDENTIALS_DIRECTORY"  # systemd.exec(5), LoadCredential=


class Secret:
    """A passphrase or PIN that shows itself in no repr, no format and no pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


SecretCallback = Callable[[], Secret]


@dataclass(frozen=True, slots=True)
class SecretRequest:
    """What a plug-in needs for its settings, so that a parent process can get it before it forks.

    `label` is shown to whoever types it ("passphrase of the keystore /var/lib/…"), `file` is the path that the
    settings name, `variable` the environment variable that they name, `credential` that of a systemd credential.
    """

    label: str
    credential: str
    file: str | None = None
    variable: str | None = None


def find_secret(request: SecretRequest, *, environ: Mapping[str, str], prompt: Callable[[str], str] | None) -> Secret:
    """Return the secret from what the settings name, else the systemd credential, else the prompt (None: no terminal).

    What the settings name is a file, else an environment variable.

    Raises ConfigInvalid when there is no way to get it or it is empty, and what read_private raises.
    """
    if request.file is not None:
        return _from_bytes(read_private(request.file, SECRET_BYTES), request)
    if request.variable is not None:
        return _from_variable(request, request.variable, environ)
    credential = Path(environ[CREDENTIALS], request.credential) if CREDENTIALS in environ else None
    if credential is not None and credential.is_file():
        return _from_bytes(_read_credential(credential), request)
    if prompt is not None:
        return _from_bytes(prompt(f"{request.label}: ").encode(), request)
    raise ConfigInvalid(
        f"there is no way to get the {request.label}",
        remedy=f"Name a file of mode 0600 in the configuration, or give the systemd credential {request.credential}.",
    )


def _from_variable(request: SecretRequest, variable: str, environ: Mapping[str, str]) -> Secret:
    if variable not in environ:
        raise ConfigInvalid(
            f"the environment variable {variable} that should hold the {request.label} is not set",
            remedy=f"Set {variable} for this process, or name a file of mode 0600 in the configuration.",
        )
    return _from_bytes(os.fsencode(environ[variable]), request)


def _read_credential(path: Path) -> bytes:
    # systemd owns the directory and gives rights by ACL, which look like a group's in the mode.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return file.read(SECRET_BYTES)


def _from_bytes(data: bytes, request: SecretRequest) -> Secret:
    try:
        value = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigInvalid(f"the {request.label} is not UTF-8 text") from None
    if not value:
        raise ConfigInvalid(f"the {request.label} is empty")
    return Secret(value)
