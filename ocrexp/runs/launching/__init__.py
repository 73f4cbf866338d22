"""Where the jobs of a sweep run: on this machine side by side, on a Slurm cluster, on a Ray cluster."""
