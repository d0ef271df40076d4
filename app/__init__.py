"""What people run: command line, proxy, tracker, demo."""
