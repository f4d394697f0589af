"""The command line: `micrograd-like lecture`."""

import argparse
import os
import sys
from collections.abc import Sequence

from . import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = argparse.ArgumentParser(prog="micrograd-like", description="Backpropagation on scalars, seen and checked.")
    parser.add_argument("--version", action="version", version=f"micrograd-like {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    lecture = commands.add_parser(
        "lecture",
        help="the lecture, end to end: gradients by the engine and by hand, a picture, a training run",
        description="Build the lecture's network node by node, compare its gradients with the hand-derived ones, "
        "draw its graph, and train a network on Fisher's Iris data.",
    )
    lecture.add_argument("--depth", type=_depth, default=3, metavar="L", help="units in the chain, 1 to 100 (3)")
    lecture.add_argument("--seed", type=int, default=0, metavar="N", help="for all random numbers (0)")
    lecture.add_argument("--out", default="lecture", metavar="DIR", help="folder for the picture (lecture)")
    lecture.add_argument("--force", action="store_true", help="replace files that are there already")

    arguments = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no ∂ gets a question mark
    try:
        from .lecture import lecture as run

        status = run(arguments.depth, arguments.seed, arguments.out, arguments.force)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("micrograd-like: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has closed it, like `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FileExistsError as error:
        print(f"micrograd-like: --out {error.filename} is a file, not a folder", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else "writing the output: "
        print(f"micrograd-like: {where}{error.strerror}", file=sys.stderr)
        return 2
    return status


def _depth(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
