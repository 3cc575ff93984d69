"""The second schema, by subject. Frozen: a change of the tables is a new migration."""
