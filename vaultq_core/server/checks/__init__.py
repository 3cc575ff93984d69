"""`vaultq-server check`: one module a subject; docs/operations.md, "Check", lists what is looked at."""
