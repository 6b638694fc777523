"""Small networks trained for the benchmarks, on data that is drawn here."""
