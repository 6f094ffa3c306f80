"""The room in a browser: pages over the same functions as `nodisk status` and `nodisk events`."""
