"""`backplane spool`: looks at undelivered events on disk."""
