"""VaultQ's keystore in a PKCS#11 token (docs/operations.md, "Keystore in a token")."""
