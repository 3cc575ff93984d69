"""`vaultq-admin`: the administrator's command line and client, over the admin listener."""
