"""Strict settings: every table of vaultq.toml goes through here, the core's and the plug-ins'.

A mistyped key must not become a default, so an unknown one is refused, with the key that was probably meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from vaultq_core.errors import ConfigInvalid

T = TypeVar("T", bound=msgspec.Struct)


def decode_settings(table: Mapping[str, object], kind: type[T], where: str) -> T:
    """Return the table as a `kind`; `where` is its place in the file (`keystore.file`; empty for the whole file).

    Raises ConfigInvalid naming the place and, for an unknown key, the nearest valid one. Values are not repeated.
    """
    _require_known_keys(table, kind, where)
    try:
        return msgspec.convert(dict(table), kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(f"{_place(where)}: {_readable(str(error))}") from None


def nearest_key(key: str, valid: list[str]) -> str:
    """Return the end of a sentence about an unknown key: what was probably meant, or what there is."""
    near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    if near:
        return f"did you mean `{near[0]}`?"
    return "the keys are " + ", ".join(f"`{name}`" for name in valid) if valid else "there are none"


def _require_known_keys(table: Mapping[str, object], kind: type[msgspec.Struct], where: str) -> None:
    valid = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    hints = get_type_hints(kind)
    for key, value in table.items():
        if key not in valid:
            raise ConfigInvalid(f"{_place(where)}: unknown key `{key}`; {nearest_key(key, list(valid))}")
        if isinstance(value, Mapping):
            for nested in _structs(hints[valid[key]]):
                _require_known_keys(value, nested, f"{where}.{key}" if where else key)


def _structs(hint: object) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    elif get_origin(hint) in (Union, UnionType):
        for option in get_args(hint):
            yield from _structs(option)


def _place(where: str) -> str:
    return f"[{where}]" if where else "the configuration"


def _readable(message: str) -> str:
    # msgspec says "Expected `int`, got `str` - at `$.port`" and "Object missing required field `path`".
    what, _, path = message.partition(" - at ")
    what = what.replace("Object missing required field", "missing setting")
    return f"{path.strip('`').removeprefix('$.')}: {what}" if path else what
