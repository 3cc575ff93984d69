"""The vault's server: three listeners, the services behind them, and what holds them together."""
