"""The slips of `diagnose` as a table: what each would make of a gradient, for a page that has no Python."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..engine import Value
from .derivation import TooLongError
from .graph import Graph
from .network import Network
from .points import Numbers, general, usable
from .search import Search
from .slips import VARIABLE, Slip, weight

POINTS = 3  # tell a thousand slips apart
_CONSTANTS = (-1.0, 2.0, -2.0, 0.5, -0.5, 3.0, 4.0, 0.25)


@dataclass(frozen=True)
class Catalogue:
    """points: the numbers of all names at each of several points in general position.

    value: for each leaf with a name ∂loss/∂leaf at these points. slips: what single slips would make of it there, each
    with the sentence of `diagnose`, likelier ones first.
    """

    points: list[dict[str, float]]
    value: dict[Value, Numbers]
    slips: dict[Value, list[tuple[Numbers, str]]]


def catalogue(graph: Graph, leaves: Sequence[Value], most: int) -> Catalogue:
    """Every single slip in ∂loss/∂leaf, for each of the leaves.

    There are no slips for graphs of more nodes than `most`, and nothing where no points tell formulas apart.
    """
    points = general(graph, leaves, (), POINTS, seed=0)
    environments = [{name: point.numbers[node] for name, node in graph.nodes.items()} for point in points]
    value = {leaf: tuple(point.gradient[leaf] for point in points) for leaf in leaves}
    slips: dict[Value, list[tuple[Numbers, str]]] = {}
    for leaf in leaves if len(points) >= POINTS and len(graph.order) <= most else ():
        others = {graph.names[x]: value[x] for x in leaves if x is not leaf}
        try:
            network = Network(graph, leaf, {}, environments)
        except TooLongError:
            continue
        search = Search(network, (), None, list(graph.nodes), others, 1e-8)
        wrong = [tuple(c * x for x in value[leaf]) for c in _CONSTANTS]
        guesses = [*search.singles, *(one for numbers in wrong for one in search.by_constant(numbers))]
        found: list[tuple[tuple[Slip, ...], Numbers]] = [(one.slips, one.value) for one in guesses]
        found += [((Slip(VARIABLE, graph.names[leaf], name),), numbers) for name, numbers in others.items()]
        likeliest: dict[tuple[str, ...], tuple[Numbers, str]] = {}
        for made, numbers in sorted(found, key=lambda one: weight(one[0])):
            if usable(numbers):
                key = tuple(f"{x:.8g}" for x in numbers)
                likeliest.setdefault(key, (numbers, " and ".join(map(str, made))))
        slips[leaf] = list(likeliest.values())
    return Catalogue(environments, value, slips)
