"""Collectors: everything between an exchange's sockets and a user's callbacks."""
