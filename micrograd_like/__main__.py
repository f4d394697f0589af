"""The command line: `micrograd-like lecture`, `check`, `draw`, `explore`, `study`, `train` and `predict`."""

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from . import __version__

if TYPE_CHECKING:
    from .check import Network
    from .engine import Value
    from .show import Drawing, Page

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = argparse.ArgumentParser(prog="micrograd-like", description="Backpropagation on scalars, seen and checked.")
    parser.add_argument("--version", action="version", version=f"micrograd-like {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_lecture(commands)
    _add_check(commands)
    _add_draw(commands)
    _add_explore(commands)
    _add_study(commands)
    _add_train(commands)
    _add_predict(commands)

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no ∂ gets a question mark
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        if sys.stdout is not None:
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


def _add_lecture(commands: Commands) -> None:
    parser = commands.add_parser(
        "lecture",
        help="the lecture, end to end: gradients by the engine and by hand, a picture, a training run",
        description="Build the lecture's network node by node, compare its gradients with the hand-derived ones, "
        "draw its graph, and train a network on Fisher's Iris data.",
    )
    parser.add_argument("--depth", type=_depth, default=3, metavar="L", help="units in the chain, 1 to 100 (3)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for all random numbers (0)")
    parser.add_argument("--out", default="lecture", metavar="DIR", help="folder for the picture (lecture)")
    parser.add_argument("--force", action="store_true", help="replace files that are there already")
    parser.set_defaults(run=_lecture)


def _lecture(arguments: argparse.Namespace) -> int:
    from .lecture import lecture

    return lecture(arguments.depth, arguments.seed, arguments.out, arguments.force)


def _add_check(commands: Commands) -> None:
    parser = commands.add_parser(
        "check",
        help="a gradient that you derived by hand, beside the engine's",
        # argparse would put FORMULA last, where --at takes it for one more number
        usage="micrograd-like check FORMULA [FORMULA ...] [--of NODE] [--depth L | --net FILE]\n"
        "                            [--at NAME=NUMBER ...] [--seed N]",
        description="Compare gradients that you derived by hand with the engine's and with central\n"
        "differences, at one point. The exit status is 0 if all agree, 1 if one differs,\n"
        "2 if something cannot be read or computed.",
        epilog="""\
examples:
  The chain of two units, z1 = w1 x, f1 = tanh(z1), z2 = w2 f1, f2 = tanh(z2), Loss = (y - f2)²:

    micrograd-like check --depth 2 "dw1 = x (1 - f1²) w2 (1 - f2²) 2 (f2 - y)"

  A network of your own. The file net.txt has the lines

    z = w x + b          # what no line defines (w, x, b) is a leaf
    p = sigmoid(z)
    t = 1                # and a line may give a leaf its number
    Loss = -log(p) t - log(1 - p) (1 - t)

  and this is checked with the numbers of --at, and random ones for the leaves left over:

    micrograd-like check --net net.txt "dz = p - t; dw = x dz; db = dz" --at w=0.8 x=1.5
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "formulas",
        nargs="+",
        metavar="FORMULA",
        help="lines like 'dw1 = x d1', separated by ; or line ends, plain, Unicode or LaTeX; earlier lines serve "
        "later ones. The target says what it is the gradient of: dw1, ∂Loss/∂w1 or w1.grad. "
        "- reads them from stdin; -- goes before a formula that begins with a minus sign",
    )
    parser.add_argument("--of", metavar="NODE", help="what the last line, then without '=', is the gradient of")
    _add_network(parser)
    parser.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from .check import check, read

    try:
        network = _network(arguments)
        formulas = [read(sys.stdin.buffer, "stdin") if text == "-" else text for text in arguments.formulas]
        comparison = check(network, formulas, arguments.of)
    except ValueError as error:
        return _refuse(error)
    print(network, comparison, sep="\n\n")
    return 0 if comparison else 1


def _add_draw(commands: Commands) -> None:
    parser = commands.add_parser(
        "draw",
        help="a picture of a graph, with its gradients",
        description="Draw the lecture's chain, a network in a file, or an MLP on one sample, after a backward pass.",
    )
    _add_picture(parser, "graph.svg", "graph.svg, .png, .pdf, .html or .dot")
    details = ("auto", "values", "folded", "neurons", "layers")
    parser.add_argument("--detail", choices=details, default="auto", help="what a card stands for (auto: by size)")
    parser.add_argument("--text", action="store_true", help="print the graph as a tree, and write no file")
    parser.set_defaults(run=_draw)


def _draw(arguments: argparse.Namespace) -> int:
    from .show import draw, print_graph

    try:
        loss = _graph(arguments)
        if arguments.text:
            print_graph(loss, arguments.detail)
            return 0
        return _save(draw(loss, arguments.detail), arguments)
    except (ValueError, ImportError, RuntimeError) as error:
        return _refuse(error)


def _add_explore(commands: Commands) -> None:
    parser = commands.add_parser(
        "explore",
        help="a page to step through a graph, change its numbers, try formulas and train networks",
        description="Write a page, to be opened in any browser: the computation of the lecture's chain, of a network "
        "in a file, or of an MLP on one sample, step by step and back; and the training of small networks.",
    )
    _add_picture(parser, "explore.html", "the page (explore.html)")
    parser.set_defaults(run=_explore)


def _explore(arguments: argparse.Namespace) -> int:
    from .show import explore

    try:
        return _save(explore(_graph(arguments)), arguments)
    except (ValueError, ImportError, RuntimeError) as error:
        return _refuse(error)


def _add_study(commands: Commands) -> None:
    from .studies import TITLES

    parser = commands.add_parser(
        "study",
        help="what the lecture says about learning, as experiments: many runs, counted and drawn",
        description="Do one study, in a minute or two, or go on with one that was interrupted. The exit status is 0 "
        "if all that it claims holds, 1 if not. It needs the extra [study]; with [jit] it is many times faster.",
    )
    studies = parser.add_subparsers(dest="study", required=True, metavar="NAME")
    for name, title in TITLES.items():
        one = studies.add_parser(name, help=title, description=f"{title}.")
        one.add_argument("--full", action="store_true", help="the real thing: many more runs, which take much longer")
        one.add_argument("--seed", type=int, default=0, metavar="N", help="for all random numbers (0)")
        one.add_argument("--jobs", type=_count, metavar="N", help="processes at a time (all cores)")
        one.add_argument("--out", default="studies", metavar="DIR", help="folder for the results (studies)")
        one.add_argument("--force", action="store_true", help="begin anew, and replace files that are there already")
        one.set_defaults(run=_study, options=())
        if name == "capacity":
            one.add_argument("--noise", type=_share, default=0.2, metavar="X", help="share of wrong labels (0.2)")
            one.set_defaults(options=("noise",))


def _study(arguments: argparse.Namespace) -> int:
    from .studies import study

    options = {name: getattr(arguments, name) for name in ("full", "seed", "jobs", "force", *arguments.options)}
    try:
        finished = study(arguments.study, arguments.out, **options)
    except (ValueError, ImportError) as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("micrograd-like: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    print(finished)
    return 0 if finished.holds else 1


def _add_train(commands: Commands) -> None:
    parser = commands.add_parser(
        "train",
        help="a network for a table of your own, a CSV file",
        description="Train a network to predict one column of a CSV file, whose first line names the columns, from the "
        "others; test it on rows set apart; and save it with all that `micrograd-like predict` needs. What is done "
        "with each column is told. Ctrl-C ends the training and keeps what was learned.",
    )
    parser.add_argument("table", type=Path, metavar="FILE.csv", help="cells separated by commas, semicolons or tabs")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    parser.add_argument(
        "--task", choices=("classification", "regression"), help="otherwise: text and few whole numbers are classes"
    )
    for option, what in (
        ("--drop", "columns not to use"),
        ("--keep", "columns to use although they look like identifiers"),
        ("--text", "columns whose numbers are names of something, as postcodes"),
    ):
        parser.add_argument(option, nargs="+", action="extend", default=[], metavar="COLUMN", help=what)
    parser.add_argument(
        "--hidden",
        type=_hidden,
        default=[16],
        metavar="SIZES",
        help="units of the hidden layers, as 16,16, or none (16)",
    )
    parser.add_argument(
        "--epochs", type=_count, default=100, metavar="N", help="how often to go through the rows (100)"
    )
    parser.add_argument("--batch", type=_count, default=32, metavar="N", help="rows for each update (32)")
    parser.add_argument("--lr", type=_rate, default=0.02, metavar="X", help="learning rate at the start (0.02)")
    parser.add_argument("--test", type=_share, default=0.2, metavar="X", help="share of the rows to test on (0.2)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for all random numbers (0)")
    parser.add_argument("--out", default="model.json", metavar="FILE", help="the model (model.json)")
    parser.add_argument("--force", action="store_true", help="replace a file that is there already")
    parser.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    from .tabular import learn

    options = ("task", "drop", "keep", "text", "hidden", "epochs", "batch", "lr", "test", "seed")
    try:
        out = _free(arguments)
        finished = learn(arguments.table, arguments.target, out, **{name: getattr(arguments, name) for name in options})
    except (ValueError, FloatingPointError) as error:
        return _refuse(error)
    return 0 if finished else 130


def _add_predict(commands: Commands) -> None:
    parser = commands.add_parser(
        "predict",
        help="what a trained network says of the rows of a CSV file",
        description="Write a line of CSV for each row: its class and the probability of that, or its number. What is "
        "odd about the table is told on stderr.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.json", help="what micrograd-like train wrote")
    parser.add_argument("table", type=Path, metavar="FILE.csv", help="with the columns that were trained on")
    parser.add_argument("--out", metavar="FILE", help="instead of stdout")
    parser.add_argument("--force", action="store_true", help="replace a file that is there already")
    parser.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> int:
    from .files import replace
    from .table import read
    from .tabular import load, predictions

    try:
        out = None if arguments.out is None else _free(arguments)
        text = predictions(
            load(arguments.model), read(arguments.table), lambda note: print(f"micrograd-like: {note}", file=sys.stderr)
        )
    except ValueError as error:
        return _refuse(error)
    if out is None:
        print(text, end="")
    else:
        replace(out, text.encode())
        print(out)
    return 0


def _save(picture: "Drawing | Page", arguments: argparse.Namespace) -> int:
    print(picture.save(_free(arguments)))
    return 0


def _free(arguments: argparse.Namespace) -> Path:
    """The path of --out. Raises ValueError if a file is there that is to be kept."""
    path = Path(arguments.out)
    if path.is_file() and not arguments.force:
        raise ValueError(f"{path} is there already and was kept; --force replaces it")
    return path


def _refuse(reason: object) -> int:
    text = str(reason)
    for python, here in _HERE:
        text = re.sub(python, here, text)
    print(f"micrograd-like: {text}", file=sys.stderr)
    return 2


_HERE = [  # what messages of functions advise, and what that is on the command line
    (r"detail='(\w+)'", r"--detail \1"),
    (r"print_graph\(root\)", "--text"),
    (r"draw\(root\)", "micrograd-like draw"),
    (r", force=True draws it all the same", ""),
    (r"\bforce=True", "--force"),
    (r"a fraction of (\S+) of (\d+) samples", r"--test \1 of \2 rows"),
    (r"leaves one part empty", "leaves one part empty; choose another one"),
    (r"Try a learning rate smaller than \S+", "Try a smaller --lr"),
]


# ---- arguments that several commands have ----------------------------------------------------------


def _add_picture(parser: argparse.ArgumentParser, out: str, what: str) -> None:
    """The options that say of which graph a picture is made, and to which file: `out`, or `what` else it may be."""
    _add_network(parser, mlp=True)
    parser.add_argument("--out", default=out, metavar="FILE", help=what)
    parser.add_argument("--force", action="store_true", help="replace a file that is there already")


def _add_network(parser: argparse.ArgumentParser, *, mlp: bool = False) -> None:
    """The options that say which graph is meant."""
    network = parser.add_mutually_exclusive_group()
    network.add_argument(
        "--depth", type=_depth, default=3, metavar="L", help="the lecture's chain of L units, 1 to 100 (3)"
    )
    network.add_argument(
        "--net", metavar="FILE", help="a network of your own: lines like 'z1 = w1 x', the last line is the loss"
    )
    if mlp:
        network.add_argument(
            "--mlp", type=_sizes, metavar="SIZES", help="an nn.MLP with tanh on one sample, as 2-16-16-1"
        )
    parser.add_argument(
        "--at",
        type=_assignment,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=NUMBER",
        help="numbers of leaves (otherwise random ones, 0.5 to 1.5 in size)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for the random numbers (0)")


def _network(arguments: argparse.Namespace) -> "Network":
    """The network of --depth or --net. Raises ValueError, OSError."""
    from .check import Network, chain_text, read

    if arguments.net is None:
        where, text = f"the lecture's chain, --depth {arguments.depth}", chain_text(arguments.depth)
    else:
        where = arguments.net
        with Path(where).open("rb") as file:
            text = read(file, where)
    return Network(text, where, dict(arguments.at), arguments.seed)


def _graph(arguments: argparse.Namespace) -> "Value":
    """The loss of the graph that is meant, after a backward pass."""
    if arguments.mlp is None:
        loss = _network(arguments).loss
    elif arguments.at:
        raise ValueError("--at gives numbers to the leaves of --depth and --net; those of --mlp follow --seed")
    else:
        from .lecture import sample

        loss = sample(arguments.mlp, arguments.seed)
    loss.backward()
    return loss


def _sizes(text: str) -> list[int]:
    sizes = text.split("-")
    if len(sizes) < 2 or not all(size.isdecimal() and 0 < int(size) <= 1000 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is not sizes of layers, as 2-16-16-1")
    return list(map(int, sizes))


def _hidden(text: str) -> list[int]:
    sizes = [] if text == "none" else text.split(",")
    if not all(size.isdecimal() and 0 < int(size) <= 1000 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is not sizes of layers, as 16,16, or none")
    return list(map(int, sizes))


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _between(text: str, low: float, high: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low < number < high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number


def _rate(text: str) -> float:
    return _between(text, 0.0, math.inf, "a number above 0")


def _share(text: str) -> float:
    return _between(text, 0.0, 1.0, "a share between 0 and 1")


def _depth(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return int(text)


def _assignment(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        value = float(number.replace("−", "-"))
    except ValueError:
        value = math.nan
    if not name.strip() or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER (formulas stand before --at)")
    return name.strip(), value


if __name__ == "__main__":
    sys.exit(main())
