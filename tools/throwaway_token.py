"""A SoftHSM token in a directory of its own, which is copied with it: for throw-away vaults."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from softhsm import make_token
from softhsm.make_token import CONFIGURATION, LABEL, PIN_FILE, TOKENS, write_configuration


@dataclass(frozen=True, slots=True)
class Token:
    """The token in `directory`, whether it has been made or not."""

    directory: Path

    @classmethod
    def create(cls, directory: Path, label: str = LABEL) -> Token:
        """Make a token in a new directory, as a process: no module of this one is touched."""
        script = (sys.executable, make_token.__file__, str(directory), "--label", label)
        subprocess.run(script, check=True, stdout=subprocess.DEVNULL)
        return cls(directory)

    def settle(self) -> None:
        """Say where the token lies: in a copy, anew."""
        write_configuration(self.directory)

    @property
    def tokens(self) -> Path:
        """What SoftHSM keeps; without it, the token is not in its slot."""
        return self.directory / TOKENS

    @property
    def pin_file(self) -> Path:
        """The file with the user's PIN."""
        return self.directory / PIN_FILE

    @property
    def variables(self) -> Mapping[str, str]:
        """What the environment of a process has to say so that SoftHSM finds this token."""
        return {"SOFTHSM2_CONF": str(self.directory / CONFIGURATION)}
