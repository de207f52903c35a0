"""The conformance suite itself: what it notices, how it drives a plugin, what it prints."""
