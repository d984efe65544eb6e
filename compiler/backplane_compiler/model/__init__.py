"""What a document means: names resolved to objects."""
