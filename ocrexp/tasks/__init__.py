"""One object a task: the only place that knows what kind of thing is predicted."""
