"""What Alembic runs: the pending migrations, on the connection and in the transaction that `schema.migrate` holds."""

from __future__ import annotations

from alembic import context

from vaultq_core.registry.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
