"""What was asked: tasks and jobs with their defaults."""
