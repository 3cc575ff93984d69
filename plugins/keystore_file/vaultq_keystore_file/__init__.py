"""VaultQ's keystore in a file that a passphrase seals (docs/operations.md, "Keystore in a file")."""
