"""``python -m tickhive.cli`` is the command ``tickhive``."""

from tickhive.cli.main import main

if __name__ == "__main__":
    main()
