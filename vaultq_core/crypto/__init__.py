"""The only algorithms, without I/O (docs/spec/suites.md). The engine is pyca/cryptography."""
