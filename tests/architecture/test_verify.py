from __future__ import annotations

import ast

from tests.fixtures.sources import shipped


def test_verify_returns_the_value_or_raises_never_a_boolean() -> None:
    found = [
        f"{file.path}:{function.lineno} {function.name}"
        for file in shipped()
        for function in file.functions()
        if function.name.startswith("verify_") and function.returns is not None and "bool" in names(function.returns)
    ]
    assert found == []


def names(annotation: ast.expr) -> set[str]:
    """Every name of an annotation, also of one that is written as a string."""
    return {
        name
        for node in ast.walk(annotation)
        for name in (
            [node.id]
            if isinstance(node, ast.Name)
            else node.value.replace("|", " ").split()
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            else []
        )
    }
