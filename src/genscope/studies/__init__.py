"""Studies: executable papers. A study is a short file: what is run, what is claimed, and the placebo in which the claim must fail."""
