"""Template for tickhive: trades and order books of its spot pairs."""
