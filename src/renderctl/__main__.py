"""`python -m renderctl`."""

from renderctl.cli import main

if __name__ == "__main__":
    main()
