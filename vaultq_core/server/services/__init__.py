"""The use cases of the server, one a file: they know the SPI and the registry, and never HTTP."""
