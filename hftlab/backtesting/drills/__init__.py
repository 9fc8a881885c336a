"""A quoter's limits tried on markets that break: the scenarios, their tapes and what is watched."""
