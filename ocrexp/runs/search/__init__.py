"""A search of values with Optuna: its options, space and study, the trials' jobs, and what a job reports."""
