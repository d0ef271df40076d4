"""starter-app: actors that run natively and, unchanged, in a web page."""
