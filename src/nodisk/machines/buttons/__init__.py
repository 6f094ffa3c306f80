"""Ways to switch a machine on and off, a module each; ``press`` presses them and says only what was seen."""
