"""Every numbered verifier of the formats has the same steps in docs/spec, and every link there leads somewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.sources import ROOT, Function, sources

SPEC = ROOT / "docs/spec"
STEP = re.compile(r"^ {0,4}(\d+)\. (to \d+\. )?", re.MULTILINE)
PAGES = {path.name: path.read_text("utf-8") for path in sorted(SPEC.glob("*.md"))}
HEADING = re.compile(r"^#+ (?:.*?)\b((?:verify|open)_[a-z_]+).*$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)?(#[^)]+)?\)")


def verifiers() -> Iterator[tuple[str, int]]:
    for file in sources("vaultq_core/crypto"):
        for node in ast.walk(file.tree):
            if isinstance(node, Function) and (steps := STEP.findall(ast.get_docstring(node, clean=True) or "")):
                yield node.name, len(steps)


def sections() -> dict[str, int]:
    found = {}
    for page in PAGES.values():
        for match in HEADING.finditer(page):
            body = re.split(r"^#", page[match.end() :], maxsplit=1, flags=re.MULTILINE)[0]
            found[match[1]] = len(STEP.findall(body))
    return found


@pytest.mark.parametrize(("name", "steps"), list(verifiers()))
def test_a_verifier_has_the_same_steps_in_its_page(name: str, steps: int) -> None:
    assert sections().get(name) == steps


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_the_specification_leads_somewhere(page: str) -> None:
    for file, anchor in LINK.findall(PAGES[page]):
        target = (SPEC / (file or page)).resolve()
        assert target.exists(), file
        headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
        assert not anchor or anchor[1:] in {each.lower().replace(" ", "-") for each in headings}


def test_the_index_names_every_page() -> None:
    assert {Path(file).name for file, _ in LINK.findall(PAGES["README.md"]) if file} >= PAGES.keys() - {"README.md"}
