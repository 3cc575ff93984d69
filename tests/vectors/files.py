"""Reading and writing the vector files (tests/vectors/README.md): base64, references to actors, and patches."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Case = dict[str, Any]
Cases = Mapping[str, Case]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def moment(posix: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(posix, dt.UTC)


def read(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def write(name: str, value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def cases_of(name: str) -> dict[str, Case]:
    return {case["name"]: case for case in read(name)["cases"]}


def data_of(case: Case, cases: Cases) -> bytes:
    """A case's bytes: its own, or another case's with a patch."""
    if "data" in case:
        return unb64(case["data"])
    return patched(data_of(cases[case["of"]], cases), case["patch"])


def patched(data: bytes, patch: Iterable[list[Any]]) -> bytes:
    for operation, *arguments in patch:
        data = _OPERATIONS[operation](data, *arguments)
    return data


def _xor(data: bytes, offset: int, mask: str) -> bytes:
    changed = bytes(a ^ b for a, b in zip(data[offset:], bytes.fromhex(mask), strict=False))
    return data[:offset] + changed + data[offset + len(changed) :]


def _splice(data: bytes, offset: int, delete: int, insert: str) -> bytes:
    return data[:offset] + bytes.fromhex(insert) + data[offset + delete :]


def _swap(data: bytes, first: int, second: int, length: int) -> bytes:
    between = data[first + length : second]
    one, two = data[first : first + length], data[second : second + length]
    return data[:first] + two + between + one + data[second + length :]


_OPERATIONS: dict[str, Any] = {
    "xor": _xor,
    "splice": _splice,
    "swap": _swap,
    "keep": lambda data, length: data[:length],
    "append": lambda data, more: data + bytes.fromhex(more),
    "zeros": lambda data, count: data + bytes(count),
    "repeat": lambda data, offset, length: data[: offset + length] + data[offset:],
}
