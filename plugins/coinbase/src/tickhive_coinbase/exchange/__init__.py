"""Coinbase Exchange: the feed and the REST API of the exchange itself."""
