"""The command line. Modules here are imported by the command that needs them, never before."""
