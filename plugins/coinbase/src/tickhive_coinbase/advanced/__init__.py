"""Coinbase Advanced Trade: the channels and the REST API behind the Coinbase app."""
