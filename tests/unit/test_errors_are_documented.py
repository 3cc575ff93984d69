"""docs/errors.md says what the code does: every error, status, advice and limit stands there, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from tests.fixtures.sources import ROOT
from vaultq_core import errors
from vaultq_core.errors import VaultQError
from vaultq_core.server import problems
from vaultq_core.server.problems import status_of
from vaultq_core.wire import limits
from vaultq_core.wire.limits import GIB, KIB, MIB, Limits

PAGE = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
COMMANDS_ONLY = (
    errors.Usage,
    errors.CannotConnect,
    errors.ConfigInvalid,
    errors.AddressInUse,
    errors.IdentityInvalid,
)
UNITS = ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))


def table(heading: str) -> list[list[str]]:
    """The cells of the table whose first heading this is, without the two lines on top."""
    lines = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def classes(base: type[VaultQError] = VaultQError) -> Iterator[type[VaultQError]]:
    yield base
    for each in base.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from classes(each)


def shown(name: str, value: float) -> str:
    fits = [f"{value / size:g} {unit}" for size, unit in UNITS if "bytes" in name.lower() and value % size == 0]
    return fits[0] if fits else f"{value:g}"


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_an_error_stands_there_with_status_exit_and_advice(kind: type[VaultQError]) -> None:
    http = "-" if issubclass(kind, COMMANDS_ONLY) else str(int(status_of(kind("an example"))))
    rows = [row for row in table("code | class") if row[1] == f"`{kind.__name__}`"]

    assert [[*row[:4], row[5]] for row in rows] == [
        [f"`{kind.code}`", f"`{kind.__name__}`", http, str(kind.exit_status), kind.advice]
    ]


def test_no_error_stands_there_that_does_not_exist() -> None:
    assert {row[1] for row in table("code | class")} == {f"`{kind.__name__}`" for kind in classes()}


def test_codes_are_distinct() -> None:
    codes = [kind.code for kind in classes()]
    assert len(codes) == len(set(codes))


def test_the_codes_of_http_alone_stand_there() -> None:
    ours = {kind.code for kind in classes()}
    refusals = {(each.code, str(status)) for status, each in problems._FRAMEWORK.items()}  # noqa: SLF001 - its codes
    alone = {(code, status) for code, status in refusals if code not in ours} | {("internal-error", "500")}

    assert {(row[0].strip("`"), row[1]) for row in table("code | HTTP")} == alone


def test_every_exit_status_is_explained() -> None:
    assert {str(kind.exit_status) for kind in classes()} <= {row[0] for row in table("exit | means")}


def test_every_setting_under_limits_stands_there_with_its_default() -> None:
    defaults = msgspec.structs.asdict(Limits())
    assert [row[:2] for row in table("setting")] == [
        [f"`{name}`", shown(name, each)] for name, each in defaults.items()
    ]


def test_every_limit_of_the_formats_stands_there_with_its_value() -> None:
    values = {name: each for name, each in vars(limits).items() if name.isupper() and name not in ("KIB", "MIB", "GIB")}
    assert [row[:2] for row in table("limit")] == [[f"`{name}`", shown(name, each)] for name, each in values.items()]


def test_every_code_that_a_limit_names_exists() -> None:
    known = {kind.code for kind in classes()}
    named = {word for row in table("setting") + table("limit") for word in row[2].split("`")[1::2] if "-" in word}
    assert named - {"Retry-After"} <= known
