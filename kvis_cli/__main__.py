"""``python -m kvis_cli`` is ``kvis``."""

from kvis_cli.cli.app import main

if __name__ == "__main__":
    main()
