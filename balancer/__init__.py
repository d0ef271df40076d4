"""Which source delivers which bytes, and whether they are right."""
