"""Coinbase for tickhive: Advanced Trade (``coinbase``) and Coinbase Exchange (``coinbase-exchange``)."""
