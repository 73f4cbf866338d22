"""Run folders as a whole: whose they are, and what has become of the run in them."""
