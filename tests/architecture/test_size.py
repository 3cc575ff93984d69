from __future__ import annotations

from tests.fixtures.sources import Function, shipped

FILE_LINES = 350
FUNCTION_LINES = 50


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_shipped_file_is_longer_than_350_lines() -> None:
    assert [file.path for file in shipped() if len(file.text.splitlines()) > FILE_LINES] == []


def test_no_shipped_function_is_longer_than_50_lines() -> None:
    long = [
        f"{file.path}:{function.lineno} {function.name}"
        for file in shipped()
        for function in file.functions()
        if length(function) > FUNCTION_LINES
    ]
    assert long == []
