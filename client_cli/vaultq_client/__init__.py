"""The doctor's and the administrator's client of VaultQ, usable from a shell and as a library."""
