"""The engine: what publishes verdicts and, with the study engine, plans and runs studies."""
