"""``python -m nodisk``."""

from nodisk.cli import main

if __name__ == "__main__":
    main()
