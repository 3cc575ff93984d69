"""Alembic's migrations, shipped with the package and run by `vaultq_core.registry.schema`."""
