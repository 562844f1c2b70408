"""The command ``greenpatch`` (``python -m greenpatch run|audit|report|ticker|check|doctor …``): becomes the one that the wheel carries."""

import os
import sys

COMMAND = os.path.join(os.path.dirname(os.path.abspath(__file__)), "native", "greenpatch")


def main():
    """Becomes the command, with the same arguments. Exits with 125, greenpatch's own failure, where that cannot be executed."""
    try:
        os.execv(COMMAND, ["greenpatch", *sys.argv[1:]])
    except OSError as error:
        sys.exit(_fail(f"greenpatch: {COMMAND} cannot be executed: {error.strerror}"))


def _fail(sentence):
    print(sentence, file=sys.stderr)
    return 125


if __name__ == "__main__":
    main()
