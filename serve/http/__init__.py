"""The HTTP face: one file a resource, and what every route shares."""
