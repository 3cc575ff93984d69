"""What all of `vaultq-server`'s commands share: where the configuration is, and who may be asked."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from vaultq_core.errors import ConfigInvalid
from vaultq_core.private_files import file_errors
from vaultq_core.server.backends import Prompt

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def enter_directory(config: Path) -> Path:
    """Work in the configuration's directory and return its absolute path. Raises NotFound, ConfigInvalid.

    Relative paths are relative to the file, those in plug-ins' sections too, which only they understand.
    """
    path = config.resolve()
    with file_errors(path.parent):
        os.chdir(path.parent)
    return path


def terminal_prompt() -> Prompt:
    """Return what asks at the terminal without an echo, or None when there is none."""
    return getpass.getpass if sys.stdin.isatty() else None


def prompt_twice() -> Prompt:
    """Return what asks for a new secret at the terminal, or None when there is none."""
    return ask_twice if sys.stdin.isatty() else None


def ask_twice(label: str) -> str:
    """Ask for a new secret at the terminal. Raises ConfigInvalid when the second answer is another one."""
    answer = getpass.getpass(label)
    if getpass.getpass("Once more: ") != answer:
        raise ConfigInvalid("the two passphrases differ", remedy="Run the command again.")
    return answer
