"""Who calls the scheduler's `turn`: one module for each kind of event loop."""
