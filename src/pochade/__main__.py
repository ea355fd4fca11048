"""`python -m pochade`: the same as the command `pochade`."""

from pochade.cli import main

if __name__ == "__main__":
    main()
