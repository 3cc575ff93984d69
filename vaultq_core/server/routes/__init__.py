"""The routes of the three listeners: decode, ask who is calling, call one use case, encode."""
