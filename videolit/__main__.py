"""``python -m videolit`` and the ``videolit`` command."""

from videolit.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
