"""Files of sweeps: directories that can be resumed, files that are whole or not there, tables."""
