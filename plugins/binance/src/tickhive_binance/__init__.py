"""Binance for tickhive: market data of spot, USD-M and COIN-M futures, and an account's own."""
