from __future__ import annotations

import ast

from tests.fixtures.sources import shipped, sources

HYPERCORN_EDGE = "vaultq_core/server/hypercorn_edge.py"
HYPERCORN_PUBLIC = ("hypercorn.config", "hypercorn.Config")
CLOCK_CALLS = {"now", "utcnow", "today"}


def test_no_function_imports() -> None:
    found = {
        f"{file.path}:{node.lineno}"
        for file in [*shipped(), *sources("tests", "tools", "benchmarks")]
        for function in file.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert found == set()


def test_one_file_touches_the_internals_of_hypercorn() -> None:
    found = [
        f"{file.path}:{line} {name}"
        for file in [*shipped(), *sources("tools", "benchmarks")]
        for line, name in file.imports()
        if file.path != HYPERCORN_EDGE and name.startswith("hypercorn.") and not name.startswith(HYPERCORN_PUBLIC)
    ]
    assert found == []


def test_wire_and_crypto_ask_no_clock() -> None:
    found = [
        f"{file.path}:{node.lineno}"
        for file in sources("vaultq_core/wire", "vaultq_core/crypto")
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Attribute) and node.attr in CLOCK_CALLS
    ]
    assert found == []
