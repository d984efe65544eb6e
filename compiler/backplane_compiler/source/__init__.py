"""Source text to one located tree."""
