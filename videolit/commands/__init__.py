"""One module per command that is not a Trainer verb; each has ``main(argv) -> exit code``."""
