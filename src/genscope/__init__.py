"""genscope, the generalization workbench."""
