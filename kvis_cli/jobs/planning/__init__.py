"""What a job has to do, before anything is computed."""
