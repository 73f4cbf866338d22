"""The local page of `browse`: a server for this machine's browser, and what it shows."""
