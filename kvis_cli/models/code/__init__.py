"""Python modules that a model needs beside its file, begun from what the file says."""
