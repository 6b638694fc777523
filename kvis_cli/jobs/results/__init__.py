"""The result folder: pictures, sheets, rows."""
