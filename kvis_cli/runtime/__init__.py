"""The process: devices, memory, threads, interruption."""
