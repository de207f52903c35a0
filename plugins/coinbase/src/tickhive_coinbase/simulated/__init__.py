"""Both exchanges seen from the server's side: written from the documents, not from the client."""
