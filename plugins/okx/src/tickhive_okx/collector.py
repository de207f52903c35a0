"""The collector of OKX, under a name of its own."""

from __future__ import annotations

from tickhive.collector.plugin_collector import PluginCollector


class OKXCollector(PluginCollector):
    """Collects OKX's public market data; everything particular to OKX is in the plugin's hooks."""
