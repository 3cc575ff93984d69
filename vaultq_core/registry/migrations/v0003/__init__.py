"""The third schema. Frozen: a change of the tables is a new migration."""
