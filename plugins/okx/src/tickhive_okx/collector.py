"""The collector of OKX, under a name of its own."""

from __future__ import annotations

from tickhive.collector.plugin_collector import PluginCollector


class OKXCollector(PluginCollector):
    """Collects OKX's market data and an account's own; everything particular to OKX is in the plugin's hooks."""
