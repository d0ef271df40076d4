"""One file for each claim about the runtime: our side of the workload, and what is claimed of it."""
