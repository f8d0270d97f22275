"""The equations of one step, a file for each cell."""
