"""Commands about whether models look alike, and where they should."""
