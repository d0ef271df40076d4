"""A lab of NATs in network namespaces, and a peer to put behind one."""
