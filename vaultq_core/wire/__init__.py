"""Bytes to values and back: the formats of docs/spec, pure (no I/O, clock, randomness or cryptography)."""
