"""VaultQ keystore in a PKCS#11 token."""
