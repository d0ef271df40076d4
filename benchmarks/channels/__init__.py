"""The two ends of a measured pair of peers, and the link between them."""
