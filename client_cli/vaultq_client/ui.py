"""How both command lines speak: results on standard output, errors, questions and prompts on standard error.

Text that came from elsewhere goes through `plain`, so that it can neither colour, move nor forge a terminal's output.
"""

from __future__ import annotations

import getpass
import json
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vaultq_core.errors import Malformed, Usage, VaultQError
from vaultq_core.private_files import read_private
from vaultq_core.wire.problem import TYPE_PREFIX

PASSPHRASE_CHARS = 12
SECRET_BYTES = 1024
INTERRUPTED = 130  # 128 + SIGINT, as shells do

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text for people.")]
T = TypeVar("T")

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_PIPE_COLUMNS = 1000  # nobody wraps lines for grep
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # names in Persian and Hindi need them


def new_app(name: str, about: str) -> typer.Typer:
    """Return an empty command line with the settings that `run` relies on."""
    return typer.Typer(
        name=name, help=about, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status (docs/errors.md); `arguments` default to the process's own.

    A VaultQError, and a wrong argument, become two lines on standard error: what happened, and what to do. With
    --json they become one JSON object there. An interrupt is one line and 130.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    name = app.info.name if isinstance(app.info.name, str) else "vaultq"
    try:
        status = app(given, standalone_mode=False, prog_name=name)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except typer.Abort:
        return report(Usage("there was no answer to a question", remedy="Run it at a terminal."), name, given)
    except typer.TyperException as error:
        return _explain(error, name, given)
    except VaultQError as error:
        return report(error, name, given)
    if status == INTERRUPTED:
        say_aside(f"{name}: interrupted")
    return status if isinstance(status, int) else 0


def report(error: VaultQError, name: str, arguments: Sequence[str] = ()) -> int:
    """Write an error to standard error, as JSON if the arguments ask for that; return its exit status."""
    if _wants_json(arguments):
        sys.stderr.write(json.dumps(problem_of(error)) + "\n")
    else:
        say_aside(f"{name}: {error} [{error.code}]", style="red")
        say_aside(f"  {error.remedy}")
    return error.exit_status


def problem_of(error: VaultQError) -> dict[str, Any]:
    """Return an error as the members of problem details (RFC 9457), with `exit_status` in the place of HTTP's."""
    problem: dict[str, Any] = {
        "type": TYPE_PREFIX + error.code,
        "code": error.code,
        "detail": str(error),
        "remedy": error.remedy,
        "exit_status": error.exit_status,
    }
    extras = {name: getattr(error, name, None) for name in ("step", "retry_after")}
    return problem | {name: value for name, value in extras.items() if value is not None}


# --- output ---------------------------------------------------------------------------------------


def console() -> Console:
    """Return standard output; colour and wrapping only where a person looks."""
    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    return Console(markup=False, emoji=False, highlight=False, width=width)


def err_console() -> Console:
    """Return standard error, likewise."""
    width = None if sys.stderr.isatty() else _PIPE_COLUMNS
    return Console(stderr=True, markup=False, emoji=False, highlight=False, width=width)


def say(text: str, *, style: str = "") -> None:
    """Print one line of a result."""
    console().print(Text(plain(text), style=style), soft_wrap=True)


def say_aside(text: str, *, style: str = "") -> None:
    """Print one line that is no result (progress, a hint, an error) on standard error."""
    err_console().print(Text(plain(text), style=style), soft_wrap=True)


def emit(value: T, show: Callable[[T], None], *, as_json: bool) -> None:
    """Print a result: the value (structs, dicts, lists) as one line of JSON, or as `show` does for people."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    else:
        show(value)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str = "none") -> None:
    """Print rows under their headings, or `empty` when there are none."""
    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    if table.row_count:
        console().print(table)
    else:
        say(empty)


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    pairs = list(facts)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        say(f"{name:{width}}  {value}")


def plain(text: str) -> str:
    """Return `text` with control, format and surrogate characters and line separators as escapes."""
    return "".join(each if _printable(each) else each.encode("unicode_escape").decode() for each in text)


def age(seconds: float) -> str:
    """Return a span in its largest whole unit: `12 s`, `5 min`, `3 h`, `4 d` (from 48 h on)."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    return f"{whole // _HOUR} h" if whole < 2 * _DAY else f"{whole // _DAY} d"


def moment(time: int) -> str:
    """Return POSIX seconds as `2026-03-01 12:00 UTC`."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


# --- questions ------------------------------------------------------------------------------------


def confirm(question: str) -> bool:
    """Ask a person; only `y` and `yes` are a yes. Raises Usage without a terminal on standard input."""
    if not sys.stdin.isatty():
        raise Usage(f"there is no terminal to ask at: {question}", remedy="See the command's --help for scripts.")
    err_console().print(Text(f"{plain(question)} [y/N] "), end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def read_secret(prompt: str, file: Path | None = None) -> str:
    """Return a passphrase or password from a file of mode 0600 (its last newline is dropped), else from the terminal.

    Raises Usage when it is empty or there is no terminal, Malformed when it is not UTF-8, and what
    `read_private` raises.
    """
    secret = _from_file(file) if file is not None else _from_terminal(prompt)
    if not secret:
        raise Usage(f"no {prompt.lower()} was given")
    return secret


def new_secret(prompt: str, file: Path | None = None) -> str:
    """Return a new passphrase of at least PASSPHRASE_CHARS characters; the terminal asks twice. Raises as read_secret.

    Raises Usage also when it is shorter, or differs the second time.
    """
    secret = read_secret(prompt, file)
    if len(secret) < PASSPHRASE_CHARS:
        raise Usage(
            f"the {prompt.lower()} has fewer than {PASSPHRASE_CHARS} characters", remedy="Choose several random words."
        )
    if file is None and _from_terminal(f"{prompt}, once more") != secret:
        raise Usage("the two differ; nothing was changed", remedy="Run the command again.")
    return secret


def _from_file(file: Path) -> str:
    data = read_private(file, SECRET_BYTES)
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Malformed(f"{file} is not UTF-8 text") from None


def _from_terminal(prompt: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # it would echo what is typed
        try:
            return getpass.getpass(f"{prompt}: ")
        except (getpass.GetPassWarning, EOFError):
            raise Usage(
                f"there is no terminal to ask for the {prompt.lower()}", remedy="Name a file that holds it, see --help."
            ) from None


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in _UNPRINTABLE or character in _JOINERS


def _wants_json(arguments: Sequence[str]) -> bool:
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _explain(error: typer.TyperException, name: str, arguments: Sequence[str]) -> int:
    if not error.format_message():  # called without arguments: the help was printed already
        return Usage.exit_status
    return report(Usage(error.format_message(), remedy=f"See `{name} --help`."), name, arguments)
