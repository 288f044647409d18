"""`python -m moorage`: the same as the installed `moorage` command."""

from moorage.cli.main import main

if __name__ == "__main__":
    main()
