"""A real vault in a directory of its own, on free ports: for the demo, the benchmarks and the tests.

Made and served by the real `vaultq-server`, as processes. The passphrases below protect only what is thrown away.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from softhsm.make_token import LABEL, find_module
from tools.throwaway_token import Token

KeystoreName = Literal["file", "pkcs11"]
LISTENERS = ("records", "enrolment", "admin")
START_SECONDS = 60.0
STOP_SECONDS = 40.0  # over [server] drain_seconds and the supervisor's margin
_KEYSTORE_PASSPHRASE = "a passphrase for a throw-away keystore"  # noqa: S105 - see above
_ADMIN_PASSPHRASE = "a passphrase for a throw-away administrator"  # noqa: S105

_CONFIG = """\
# VaultQ; docs/operations.md explains every setting.

[vault]
data_dir = "data"

[keystore]
name = "{keystore}"

[keystore.{keystore}]
{keystore_settings}

[storage]
name = "fs"

[storage.fs]
path = "{directory}/objects"

[registry]
url = "sqlite:///registry.db"

[listeners]
records = "127.0.0.1:{records}"
enrolment = "127.0.0.1:{enrolment}"
admin = "127.0.0.1:{admin}"

[server]
workers = {workers}
drain_seconds = 10
log_level = "{log_level}"

[limits]
{limits}
"""

_FILE_SETTINGS = """\
path = "{directory}/keystore"
passphrase_file = "{directory}/keystore-passphrase"
"""
_PKCS11_SETTINGS = """\
module = "{module}"
token = "{label}"
pin_file = "{directory}/token/pin"
"""


class ServerFailed(Exception):
    """A server did not start, or did not end as it should; the text says where its log lies."""


def command(name: str) -> str:
    """Return the path of one of the installed commands, such as `vaultq-server`."""
    return str(Path(sys.executable).with_name(name))


def free_ports(count: int) -> list[int]:
    """Return TCP ports that were free a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def write_secret(path: Path, secret: str) -> Path:
    """Write a new file of mode 0600."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    return path


def _keystore_settings(keystore: KeystoreName, directory: Path) -> str:
    if keystore == "file":
        return _FILE_SETTINGS.format(directory=directory)
    return _PKCS11_SETTINGS.format(directory=directory, module=find_module(), label=LABEL)


class Process:
    """A server program that says `ready` on standard output; its standard error goes to a file."""

    def __init__(self, arguments: Iterable[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it is ready. Raises ServerFailed when it ends before, or takes a minute."""
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                list(arguments),
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
        self.pid = self._process.pid
        try:
            self.lines = self._until_ready()
        except BaseException:
            self.kill()
            raise

    def workers(self) -> list[int]:
        """Return the worker processes' ids, as they are now."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(each) for each in children.read_text(encoding="ascii").split()]

    def stop(self) -> None:
        """Let requests finish, and end. Raises ServerFailed when it doesn't end, or not with status 0."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"the server did not stop within {STOP_SECONDS:g} s; its log: {self.log}") from None
        self._close()
        if status:
            raise ServerFailed(f"the server ended with status {status}; its log: {self.log}")

    def kill(self) -> None:
        """Kill the parent and every worker, as a power cut would; return once all of them are gone.

        Only processes of the session that this one started are touched.
        """
        if self._process.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None and not self._process.stdout.closed:
            self._process.stdout.read()  # ends when the last worker, which holds it too, is gone
        self._close()

    def is_running(self) -> bool:
        """Tell whether the parent runs."""
        return self._process.poll() is None

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _until_ready(self) -> list[str]:
        said, deadline = b"", time.monotonic() + START_SECONDS
        stdout = self._process.stdout
        while stdout is not None and b"ready\n" not in said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stdout], [], [], left)[0]:
                raise ServerFailed(f"the server was not ready within {START_SECONDS:g} s; its log: {self.log}")
            part = os.read(stdout.fileno(), 4096)
            if not part:
                raise ServerFailed(f"the server ended with status {self._process.wait()}; its log: {self.log}")
            said += part
        return said.decode().splitlines()


@dataclass(slots=True)
class ThrowawayVault:
    """A vault that was made in `directory`; `server` is there while it is served."""

    directory: Path
    ports: Mapping[str, int]
    keystore: KeystoreName = "file"
    server: Process | None = field(default=None)
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        keystore: KeystoreName = "file",
        workers: int = 2,
        hospital: str = "St. Elsewhere",
        log_level: str = "warning",
        limits: Mapping[str, int | float] | None = None,
    ) -> ThrowawayVault:
        """Write a configuration into an empty directory and run `vaultq-server init`. Raises ServerFailed."""
        directory = directory.resolve()
        ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
        bounds = "\n".join(f"{name} = {value}" for name, value in (limits or {}).items())
        text = _CONFIG.format(
            **ports,
            directory=directory,
            keystore=keystore,
            keystore_settings=_keystore_settings(keystore, directory),
            workers=workers,
            log_level=log_level,
            limits=bounds,
        )
        vault = cls(directory, ports, keystore)
        vault.config.write_text(text, encoding="utf-8")
        write_secret(vault.admin_passphrase_file, _ADMIN_PASSPHRASE)
        if vault.keystore == "pkcs11":
            Token.create(vault.token.directory)
        else:
            write_secret(vault.keystore_passphrase_file, _KEYSTORE_PASSPHRASE)
        vault.init(hospital)
        return vault

    def copy(self, directory: Path) -> ThrowawayVault:
        """Copy a vault that does not run, to other ports: a ceremony takes its time."""
        shutil.copytree(self.directory, directory)
        copied = ThrowawayVault(
            directory, dict(zip(self.ports, free_ports(len(self.ports)), strict=True)), self.keystore
        )
        text = self.config.read_text(encoding="utf-8").replace(str(self.directory), str(directory))
        for name, port in self.ports.items():
            text = text.replace(f":{port}", f":{copied.ports[name]}")
        copied.config.write_text(text, encoding="utf-8")
        if copied.keystore == "pkcs11":
            copied.token.settle()
        return copied

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "vaultq.toml"

    @property
    def keystore_passphrase_file(self) -> Path:
        """The file with the keystore's passphrase or PIN."""
        return self.token.pin_file if self.keystore == "pkcs11" else self.directory / "keystore-passphrase"

    @property
    def token(self) -> Token:
        """The SoftHSM token, of a vault that has one."""
        return Token(self.directory / "token")

    @property
    def keystore_place(self) -> Path:
        """What the keystore cannot do without: its file, or what SoftHSM keeps of the token."""
        return self.directory / "keystore" if self.keystore == "file" else self.token.tokens

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of this vault's processes; `variables` are what it says besides."""
        token = self.token.variables if self.keystore == "pkcs11" else {}
        return {**os.environ, **token, **self.variables}

    @contextmanager
    def as_environment(self) -> Iterator[None]:
        """Let this very process have that environment while the block runs."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    @property
    def objects(self) -> Path:
        """The root of the storage."""
        return self.directory / "objects"

    @property
    def log(self) -> Path:
        """What the server says on standard error, over all its starts."""
        return self.directory / "server.log"

    @property
    def admin_home(self) -> Path:
        """The first administrator's directory."""
        return self.directory / "data" / "admin"

    @property
    def admin_passphrase_file(self) -> Path:
        """The file with the passphrase of the administrator's key."""
        return self.directory / "admin-passphrase"

    @property
    def admin_passphrase(self) -> str:
        """The passphrase of the administrator's key."""
        return _ADMIN_PASSPHRASE

    def init(self, hospital: str) -> None:
        """Run `vaultq-server init`."""
        arguments = ("--admin", "Grace Hopper", "--hospital", hospital)
        files = (
            *("--recovery-key-file", str(self.directory / "recovery-key")),
            *("--admin-passphrase-file", str(self.admin_passphrase_file)),
        )
        done = subprocess.run(
            (command("vaultq-server"), "init", "--config", str(self.config), *arguments, *files),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            env=self.environment,
        )
        if done.returncode:
            raise ServerFailed(f"`vaultq-server init` ended with status {done.returncode}: {done.stderr}")

    def start(self) -> Process:
        """Serve the vault. Raises ServerFailed."""
        arguments = (command("vaultq-server"), "serve", "--config", str(self.config))
        self.server = Process(arguments, self.log, self.environment)
        return self.server

    def stop(self) -> None:
        """End the server, if one runs. Raises ServerFailed when it does not end as it should."""
        server, self.server = self.server, None
        if server is not None:
            server.stop()
