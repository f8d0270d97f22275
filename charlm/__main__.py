"""`python -m charlm`: the same as the command."""

from charlm.cli.main import main

if __name__ == "__main__":
    main()
