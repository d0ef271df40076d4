"""Actors, mailboxes and schedulers; knows nothing of video, HTTP or browsers."""
