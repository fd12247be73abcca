"""The verbs of genscope: one file each; the command line and Python call the same functions."""
