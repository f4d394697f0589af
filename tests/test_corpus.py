"""The corpus of wrong gradients is what it says, its judge is neither lax nor unfair, and `diagnose` passes."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest
from corpus import FORMS, KINDS, NETWORKS, answered, corpus, diagnosed, judge, known, rearrange, same

from micrograd_like import byhand

SEED = 2026
SINGLES, DOUBLES, RIGHTS = 405, 88, 200


@pytest.fixture(scope="module")
def made():
    return corpus(SEED, SINGLES, DOUBLES, RIGHTS)


def test_diagnose(made):
    judged = Counter()
    for planted in made:
        finding = diagnosed(planted)
        judged[len(planted.slips), judge(finding, planted)] += 1
        assert planted.slips or answered(finding) != "wrong", f"right, but called wrong: {planted}"
    told = {n: judged[n, "kind and place"] / sum(judged[key] for key in judged if key[0] == n) for n in (1, 2)}
    assert told[1] >= 0.98, judged
    assert told[2] >= 0.80, judged
    assert judged[1, "called right"] == judged[2, "called right"] == 0
    assert judged[0, "called right"] >= 0.98 * RIGHTS


def test_every_kind_and_form(made):
    assert {slip.kind for planted in made for slip in planted.slips} == set(KINDS)
    assert {planted.form for planted in made} == set(FORMS)
    assert {planted.network for planted in made} == set(NETWORKS)
    assert [planted.text for planted in corpus(SEED, 20)] == [planted.text for planted in made[:20]]


def test_what_is_called_right_is_right_and_nothing_else(made):
    for planted in made:
        assert same(planted.written(), planted.network.right(planted.target)) == (not planted.slips), planted
    for planted in made[::8]:
        assert bool(byhand.compare(planted.network.loss, planted.formulas)) == (not planted.slips), planted


def test_a_written_slip_is_the_planted_one(made):
    """The text gives what the edited tree gives: both make the same wrong function."""
    for planted in made[:SINGLES]:
        if planted.slips and planted.form != "partly unrolled":
            made_so = [
                becomes
                for equal in known(planted.network, planted.target).values()
                for becomes, slip in equal
                if (slip.kind, slip.factor, slip.instead)
                == (planted.kind, planted.slips[0].factor, planted.slips[0].instead)
            ]
            assert any(same(planted.written(), becomes) for becomes in made_so), planted


def test_many_ways_to_write_the_same():
    rng = random.Random(SEED)
    network = NETWORKS[9]
    right = [rearrange(rng, network, network.targets[-1], rng.choice(FORMS)) for _ in range(300)]
    assert len({planted.text for planted in right}) >= 200
    assert all(same(planted.written(), network.right(planted.target)) for planted in right)


def slip(kind, factor, instead="", place=""):
    return SimpleNamespace(kind=kind, factor=factor, instead=instead, place=place)


def finding(verdict, *slips, line=""):
    return SimpleNamespace(verdict=verdict, slips=slips, line=line)


def test_the_judge(made):
    for planted in made[::3]:
        assert judge(finding("right"), planted) == "called right"
        assert judge(finding("cannot tell"), planted) == "cannot tell"
        places = [next((f"∂{min(s.above)}/∂{min(s.below)}" for s in one.steps), "") for one in planted.slips]
        told = [slip(s.kind, s.factor, s.instead, place) for s, place in zip(planted.slips, places, strict=True)]
        line = min(planted.lines, default="")
        if not planted.slips:
            assert judge(finding("wrong", slip("sign", "-1")), planted) == "wrong kind"
            continue
        assert judge(finding("wrong", *told, line=line), planted) == "kind and place", planted
        assert judge(finding("wrong", *told, line="elsewhere"), planted) == "kind"
        assert judge(finding("wrong", *told, *told, *told), planted) == "wrong kind"
        if "sign" not in planted.kind:
            vague = [slip(s.kind, "3.14", place="∂Loss/∂nothing") for s in planted.slips]
            assert judge(finding("wrong", *vague, line=line), planted) == "kind", planted
