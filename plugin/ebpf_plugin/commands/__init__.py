"""What the command line can ask for."""
