"""What a plug-in sees of VaultQ: protocols, hooks, names, secrets and the contract suites (docs/architecture.md)."""
