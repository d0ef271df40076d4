"""What needs a package that the runtime does not: imported inside functions, with a clear error if it is missing."""
