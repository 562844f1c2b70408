"""mends: does what greenpatch's advice names exist? Gets each name between backquotes of src/bin/greenpatch/audit/mends.rs: a module of
Python's with its attributes, or a word in the headers of C. Prints what is nowhere; run by scripts/clients, in its virtual environment."""

import importlib
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def is_of_python(name):
    """Can it be imported, or is it an attribute of what can be?"""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def is_of_c(name):
    return subprocess.run(["grep", "-rqw", name, "/usr/include"], check=False).returncode == 0


def main():
    table = (ROOT / "src/bin/greenpatch/audit/mends.rs").read_text().partition("pub const MENDS")[2].partition("];")[0]
    names = sorted({name.removesuffix("()") for name in re.findall(r"`([^`]+)`", table)})
    lost = [name for name in names if not (is_of_c(name) if re.fullmatch(r"\w*[A-Z]\w*|\w+_\w+", name) else is_of_python(name))]
    print(f"{len(names) - len(lost)} of {len(names)} names of the mends exist{': not ' + ', '.join(lost) if lost else ''}")
    return int(bool(lost) or len(names) < 20)


sys.exit(main())
