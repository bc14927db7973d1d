"""One file per stage: load, call a room, save. The only place where rooms meet."""
