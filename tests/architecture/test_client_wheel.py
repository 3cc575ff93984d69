"""The client's wheel installs without the server and what the server needs."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.fixtures.sources import ROOT

OURS = canonicalize_name("vaultq-core")
SERVER_ONLY = ("litestar", "hypercorn", "sqlalchemy", "alembic", "bcrypt", "pluggy", "structlog", "prometheus_client")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment that holds the client and what it needs, nothing else."""
    place = tmp_path_factory.mktemp("client")
    run(sys.executable, "-m", "venv", place / "venv")
    pip = (place / "venv/bin/python", "-m", "pip", "--disable-pip-version-check")
    (place / "needed.txt").write_text(locked(needed()), encoding="utf-8")

    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps")
    run(*build, "--wheel-dir", place / "wheels", ROOT, ROOT / "client_cli")
    run(*pip, "install", "--quiet", "--no-deps", "--require-hashes", "-r", place / "needed.txt")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", *(place / "wheels").iterdir())
    run(*pip, "check")
    return place / "venv/bin"


@pytest.mark.timeout(300)
def test_the_clients_wheel_installs_without_the_server(client: Path) -> None:
    found = f"import importlib.util as u; print([n for n in {SERVER_ONLY} if u.find_spec(n)])"
    assert run(client / "python", "-I", "-c", found) == "[]\n"


@pytest.mark.timeout(300)
def test_the_wheels_carry_types_and_data(client: Path) -> None:
    script = (
        "from importlib.resources import files; core = files('vaultq_core');"
        "print((core / 'py.typed').is_file(), (core / 'data/eff_large_wordlist.txt').is_file(),"
        "(files('vaultq_client') / 'py.typed').is_file())"
    )
    assert run(client / "python", "-I", "-c", script) == "True True True\n"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("program", ["vaultq", "vaultq-admin"])
def test_the_client_explains_itself_without_the_server(client: Path, program: str) -> None:
    assert "Usage" in run(client / program, "--help")


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needed() -> set[NormalizedName]:
    """Names of every foreign distribution that the client needs, directly or not."""
    projects = [
        tomllib.loads((ROOT / name).read_text("utf-8")) for name in ("pyproject.toml", "client_cli/pyproject.toml")
    ]
    return closure([line for project in projects for line in project["project"]["dependencies"]])


def closure(requirements: Iterable[str]) -> set[NormalizedName]:
    found: set[NormalizedName] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == OURS or name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += [Requirement(line) for line in importlib.metadata.requires(name) or ()]
    return found


def locked(names: set[NormalizedName]) -> str:
    """The lock's lines, with their hashes, for these distributions."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return "\n".join(line for line in lines if canonicalize_name(line.partition("==")[0]) in names) + "\n"
