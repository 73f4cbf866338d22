"""What fits a run to its data and its time before it starts: the parts of the config group `adapt`."""
