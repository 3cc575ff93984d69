"""What all tables share: one MetaData with named constraints, and the column types by meaning."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Integer, LargeBinary, MetaData, String

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Id = String(36)  # a UUID, or a doctor's or administrator's id
Hash = String(64)  # SHA-256, hex, as in JSON
Word = String(32)  # a status, role or kind
Line = String(200)  # text for people
Name = String(255)  # an object, key or issuer name
Place = String(1024)  # a keystore: backend, and path or token
Time = BigInteger  # POSIX seconds, UTC
Count = BigInteger().with_variant(Integer, "sqlite")  # SQLite keeps a table in the order of an INTEGER key
Blob = LargeBinary
Mac = LargeBinary(32)


def one_of(column: str, *values: str) -> CheckConstraint:
    """Return the constraint that a text column holds one of `values`."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(each) for each in values)})", name=column)


def only_row() -> CheckConstraint:
    """Return the constraint of a table that has one row, with id 1."""
    return CheckConstraint("id = 1", name="only_row")
