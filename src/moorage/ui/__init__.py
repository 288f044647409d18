"""Pages for people, from this one origin and without a build step."""
