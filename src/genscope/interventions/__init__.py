"""Interventions: values that change a recipe, the data, or how trained models are used."""
