"""Going from one build to the next, one machine after another."""
