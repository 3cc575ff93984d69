"""The contract suites: a plug-in that passes them whole is right. They need pytest.

A plug-in's test subclasses the suite and gives one fixture:

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def reopen(self, tmp_path): ...        # see the suite's docstring
"""

from __future__ import annotations

from vaultq_core.spi.testing.keystore_contract import KeystoreContract
from vaultq_core.spi.testing.known_secret import KnownSecret
from vaultq_core.spi.testing.storage_contract import StorageContract

__all__ = ["KeystoreContract", "KnownSecret", "StorageContract"]
