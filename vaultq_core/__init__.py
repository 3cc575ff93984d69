"""VaultQ: a post-quantum secure vault for medical records (docs/README.md)."""
