"""The session room against a true market: whatever sockets and venues do, what is handed out is true and whole."""
