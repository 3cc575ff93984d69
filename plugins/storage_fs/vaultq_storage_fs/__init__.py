"""VaultQ's object storage in a directory (docs/operations.md, "Storage in a directory")."""
