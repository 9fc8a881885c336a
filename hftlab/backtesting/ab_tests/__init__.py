"""Two versions of a quoter against each other: on a tape, and in turns within a session."""
