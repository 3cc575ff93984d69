from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pytest
import typer

from vaultq_client import ui
from vaultq_core.errors import InsecureFile, Malformed, NotVerified, TooManyRequests, Usage, VaultQError

READ = "from vaultq_client.ui import *; print(repr(read_secret('Passphrase')))"
NEW = "from vaultq_client.ui import *; print(repr(new_secret('Passphrase')))"
# A session leader without a terminal gets the first one that it opens.
AT_TERMINAL = "import os; os.close(os.open(os.ttyname(0), os.O_RDWR));"
LONG = "seven green bottles"


def failing(error: BaseException) -> typer.Typer:
    app = ui.new_app("vaultq-x", "An example.")

    @app.command()
    def fail(_number: Annotated[int, typer.Option("--number")] = 1, *, _as_json: ui.JsonOption = False) -> None:
        raise error

    return app


class Terminal:
    """A program at a terminal of its own, and what a person sees and types there."""

    def __init__(self, process: subprocess.Popen[str], descriptor: int) -> None:
        self.process, self._descriptor, self.seen = process, descriptor, ""

    def answer(self, question: str, text: str) -> None:
        """Wait until `question` has appeared once more, then type `text`."""
        while question not in self.seen:
            self.seen += os.read(self._descriptor, 1024).decode()
        self.seen = self.seen.partition(question)[2]
        self.type(text)

    def type(self, text: str) -> None:
        os.write(self._descriptor, (text + "\n").encode())

    def result(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@contextmanager
def at_terminal(script: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    command = (sys.executable, "-c", AT_TERMINAL + script)
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        yield Terminal(process, ours)
    os.close(theirs)
    os.close(ours)


@pytest.fixture
def secret_file(tmp_path: Path) -> Callable[[bytes], Path]:
    def make(content: bytes) -> Path:
        path = tmp_path / "secret"
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path

    return make


def test_an_error_is_two_lines_and_its_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    status = ui.run(failing(NotVerified("the hash differs", step=3, remedy="Fetch it again.")), [])

    shown = capsys.readouterr()
    assert status == NotVerified.exit_status
    assert shown.out == ""
    assert shown.err == "vaultq-x: step 3: the hash differs [not-verified]\n  Fetch it again.\n"


def test_an_error_is_one_json_object_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    status = ui.run(failing(TooManyRequests("slow down", retry_after=7)), ["--json"])

    shown = capsys.readouterr()
    assert (status, shown.out) == (75, "")
    assert json.loads(shown.err) == {
        "type": "urn:vaultq:problem:too-many-requests",
        "code": "too-many-requests",
        "detail": "slow down",
        "remedy": "Wait, then try again.",
        "exit_status": 75,
        "retry_after": 7,
    }


def test_remote_text_in_an_error_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    ui.run(failing(VaultQError("[bold]\x1b[2J\r\nvaultq-x: all is well")), [])

    assert capsys.readouterr().err.splitlines()[0] == (
        r"vaultq-x: [bold]\x1b[2J\r\nvaultq-x: all is well [error]"
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["--number", "x"], ["--nope"], ["extra"]])
def test_a_wrong_argument_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ui.run(failing(VaultQError("unreached")), arguments) == Usage.exit_status
    assert "[usage]\n  See `vaultq-x --help`.\n" in capsys.readouterr().err


def test_a_value_that_looks_like_an_option_does_not_change_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    ui.run(failing(VaultQError("unreached")), ["--", "--json"])

    assert capsys.readouterr().err.startswith("vaultq-x: ")


def test_an_interrupt_is_one_line_and_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert ui.run(failing(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr().err.strip() == "vaultq-x: interrupted"


def test_a_command_that_works_ends_with_0_and_one_that_chooses_with_its_choice() -> None:
    app = ui.new_app("vaultq-x", "An example.")
    app.command("good")(lambda: None)

    @app.command()
    def choosing() -> None:
        raise typer.Exit(3)

    assert (ui.run(app, ["good"]), ui.run(app, ["choosing"])) == (0, 3)


def test_a_call_without_arguments_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    app = ui.new_app("vaultq-x", "An example.")
    app.command("good")(lambda: None)
    app.command("better")(lambda: None)

    assert ui.run(app, []) == Usage.exit_status
    shown = capsys.readouterr()
    assert "Usage: vaultq-x" in shown.out + shown.err


def test_nothing_is_coloured_or_cut_for_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    ui.say("x" * 300, style="bold red")
    ui.show_table(("name",), [("y" * 300,), ("[red]\x1b]0;title\x07",)])

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert {"x" * 300, "y" * 300} <= {line.rstrip() for line in out.splitlines()}
    assert r"[red]\x1b]0;title\x07" in out


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    ui.show_table(("name",), [], empty="Nobody waits.")

    assert capsys.readouterr().out == "Nobody waits.\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë Ångström 王 👩", "Zoë Ångström 王 👩"),
        ("a\u200cb", "a\u200cb"),
        ("a\tb\n", r"a\tb\n"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("a\u202eb\u2066\u2028", r"a\u202eb\u2066\u2028"),
        ("\udcff\ufeff", r"\udcff\ufeff"),
    ],
)
def test_text_from_elsewhere_keeps_letters_and_loses_its_powers(text: str, shown: str) -> None:
    assert ui.plain(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3 * 3600, "3 h"),
        (48 * 3600 - 1, "47 h"), (48 * 3600, "2 d"),
    ],
)  # fmt: skip
def test_an_age_is_one_number(seconds: float, shown: str) -> None:
    assert ui.age(seconds) == shown


def test_a_moment_is_in_utc() -> None:
    assert ui.moment(1_760_000_000) == "2025-10-09 08:53 UTC"


def test_a_result_is_json_or_text(capsys: pytest.CaptureFixture[str]) -> None:
    ui.emit({"a": b"\x00"}, lambda _: ui.say("text"), as_json=True)
    ui.emit({"a": b"\x00"}, lambda _: ui.say("text"), as_json=False)

    assert capsys.readouterr().out == '{"a":"AA=="}\ntext\n'


# --- secrets and questions ------------------------------------------------------------------------


def test_a_secret_file_loses_its_last_newline_only(secret_file: Callable[[bytes], Path]) -> None:
    assert ui.read_secret("Passphrase", secret_file(b" two words \n\n")) == " two words \n"


def test_a_secret_file_that_others_can_read_is_refused(secret_file: Callable[[bytes], Path]) -> None:
    path = secret_file(b"secret")
    path.chmod(0o644)

    with pytest.raises(InsecureFile, match="0644"):
        ui.read_secret("Passphrase", path)


@pytest.mark.parametrize(("content", "error"), [(b"", Usage), (b"\n", Usage), (b"\xff\xfe", Malformed)])
def test_a_secret_file_without_a_secret_is_refused(
    secret_file: Callable[[bytes], Path], content: bytes, error: type[VaultQError]
) -> None:
    with pytest.raises(error):
        ui.read_secret("Passphrase", secret_file(content))


def test_a_new_passphrase_has_a_least_length(secret_file: Callable[[bytes], Path]) -> None:
    with pytest.raises(Usage, match="fewer than 12"):
        ui.new_secret("Passphrase", secret_file(b"11 letters!"))

    assert ui.new_secret("Passphrase", secret_file(b"12 letters!!")) == "12 letters!!"


def test_a_secret_is_read_at_the_terminal_and_not_shown() -> None:
    with at_terminal(READ) as terminal:
        terminal.answer("Passphrase: ", LONG)
        status, out, _ = terminal.result()
        seen = terminal.seen

    assert (status, out) == (0, repr(LONG) + "\n")
    assert LONG not in seen


def test_a_new_passphrase_is_asked_for_twice() -> None:
    with at_terminal(NEW) as terminal:
        terminal.answer("Passphrase: ", LONG)
        terminal.answer("once more: ", LONG)
        assert terminal.result()[:2] == (0, repr(LONG) + "\n")


def test_two_passphrases_that_differ_are_refused() -> None:
    with at_terminal(NEW) as terminal:
        terminal.answer("Passphrase: ", LONG)
        terminal.answer("once more: ", LONG + "x")
        status, _, err = terminal.result()

    assert (status, "the two differ" in err) == (1, True)


def test_without_a_terminal_no_secret_is_read_from_standard_input() -> None:
    done = subprocess.run(
        (sys.executable, "-c", READ),
        input=LONG,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert "there is no terminal to ask for the passphrase" in done.stderr
    assert LONG not in done.stdout


@pytest.mark.parametrize(("typed", "yes"), [("y", True), ("YES", True), ("", False), ("n", False), ("yeah", False)])
def test_only_yes_is_a_yes(typed: str, yes: bool) -> None:  # noqa: FBT001 - an example
    with at_terminal("from vaultq_client.ui import *; print(confirm('Revoke?'))") as terminal:
        terminal.type(typed)
        assert terminal.result()[1] == f"{yes}\n"


def test_a_question_needs_a_person() -> None:
    with pytest.raises(Usage, match="no terminal to ask at: Revoke"):
        ui.confirm("Revoke?")
