"""The command line: arguments in, text out. Nothing is computed here."""
