"""The EFF large word list (7,776 words, EFF 2016, CC BY 3.0), to say 90 bits over the phone."""

from __future__ import annotations

from functools import cache
from importlib import resources

from vaultq_core.crypto.fingerprints import word_indices


def fingerprint_words(statement: bytes) -> tuple[str, ...]:
    """Return the seven words of an enrolment statement's exact bytes, in the order they are read out."""
    return tuple(_words()[index] for index in word_indices(statement))


@cache
def _words() -> tuple[str, ...]:
    text = resources.files("vaultq_core").joinpath("data/eff_large_wordlist.txt").read_text(encoding="ascii")
    return tuple(text.split())
