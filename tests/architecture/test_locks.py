from __future__ import annotations

import re

from tests.fixtures.sources import ROOT

ADDRESS = re.compile(r"[a-z+]+://|--(?:extra-)?index-url|--find-links|--trusted-host|file:|(?:^|\s)/\w", re.MULTILINE)
IGNORED = {".venv", "node_modules", ".git"}


def test_requirements_lock_names_no_registry_host_or_path() -> None:
    assert ADDRESS.findall((ROOT / "requirements.lock").read_text(encoding="utf-8")) == []


def test_every_requirement_is_pinned_with_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    requirements = [
        line for line in text.replace("\\\n", " ").splitlines() if line and not line.lstrip().startswith("#")
    ]
    assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == []


def test_no_package_lock_names_a_registry_host() -> None:
    locks = [path for path in ROOT.rglob("package-lock.json") if not IGNORED & set(path.parts)]
    resolved = {path.relative_to(ROOT).as_posix() for path in locks if '"resolved"' in path.read_text(encoding="utf-8")}
    assert resolved == set()


def test_no_lock_file_of_a_tool_that_records_hosts_is_here() -> None:
    found = [name for name in ("uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock") if (ROOT / name).exists()]
    assert found == []
