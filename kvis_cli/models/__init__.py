"""What is explained: files, graphs, descriptions, live models."""
