"""One module a schema version, in order of its number; a released one never changes."""
