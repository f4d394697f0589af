"""The study of capacity: its samples, what it chooses by, and claims that fail where they should."""

from collections import Counter
from copy import deepcopy

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
pytest.importorskip("mpmath")

import numpy
from matplotlib.figure import Figure

from micrograd_like import studies
from micrograd_like.studies import capacity


def test_parts_have_nothing_in_common():
    X = [[float(i)] for i in range(100)]
    y = [i % 2 for i in range(100)]
    (learn, labels), (choose, y_choose), (measure, y_measure) = capacity.parts(X, y, 40, 20, 0.25, 3)
    rows = [x for part in (learn, choose, measure) for (x,) in part]
    assert len(rows) == len(set(rows)) == 80
    for part, found in ((choose, y_choose), (measure, y_measure)):
        assert [int(x) % 2 for (x,) in part] == found and len(part) == 20
    assert sum(int(x) % 2 != label for (x,), label in zip(learn, labels, strict=True)) == 10
    more = capacity.parts(X, y, 60, 20, 0.0, 3)
    assert more[0][0][:40] == learn and more[1:] == [(choose, y_choose), (measure, y_measure)]


def test_wrong_labels():
    y = [0, 1, 2] * 50
    found = capacity.mislabelled(y, 0.2, 1)
    different = [(a, b) for a, b in zip(y, found, strict=True) if a != b]
    assert len(different) == 30 and set(found) == {0, 1, 2} and len(set(different)) == 6
    assert capacity.mislabelled(y, 0.0, 1) == y == [0, 1, 2] * 50


def test_the_teacher_is_of_size_one_and_new_samples_are_new():
    for name, noise in (("numbers", 0.0), ("two classes", 0.0), ("digits", 0.0)):
        (X, y), (X_new, y_new) = capacity._sample(name, noise, 200, 300, 0, 1)
        assert (len(X), len(y), len(X_new), len(y_new)) == (200, 200, 300, 300)
        assert not {tuple(x) for x in X} & {tuple(x) for x in X_new}
        again = capacity._sample(name, noise, 200, 300, 0, 1)
        assert again == [(X, y), (X_new, y_new)] != capacity._sample(name, noise, 200, 300, 0, 2)
        if name == "numbers":
            assert numpy.mean(y_new) == pytest.approx(0.0, abs=0.2) and numpy.var(y_new) == pytest.approx(1.0, abs=0.3)


def test_each_split_is_measured_by_what_it_chose():
    choose, measure = numpy.array([[3.0, 1.0], [1.0, 3.0]]), numpy.array([[10.0, 20.0], [30.0, 40.0]])
    assert capacity._by(choose, measure).tolist() == [20.0, 30.0]


# ---- planted records -----------------------------------------------------------------------------------


def curve(width, learn, noise, decay):
    """Losses of networks that learn by heart, unless they decay: [part, split, checkpoint]."""
    n = len(capacity.PLAN.checkpoints)
    t = numpy.linspace(0.0, 1.0, n)
    wobble = numpy.linspace(-0.02, 0.02, 10)[:, None]
    harm = 0.0 if decay >= 0.01 or width == 1 else (0.2 + noise) * 48 / learn
    training = 1.0 - 0.9 * t + 0.0 * wobble
    new = 1.0 - 0.5 * numpy.minimum(2 * t, 1.0) + 8.0 * harm * numpy.maximum(t - 0.5, 0.0) + wobble
    return numpy.stack([training, new, new]).tolist()


@pytest.fixture(scope="module")
def records():
    made = []
    for task in capacity.tasks(full=False, seed=0):
        if task["part"] == "curve":
            losses = curve(task["width"], task["learn"], task["noise"], task["decay"])
            made.append({**task, "losses": losses, "guessing": 1.0})
        elif task["part"] == "truth":
            # Two units are too few, and 16 are right.
            losses = {
                str(w): [[1.0 + 1.0 / w * (w < 4) + 0.001 * d, 0.5 + 1.0 / w * (w < 4)] for d in range(5)]
                for w in capacity.WIDTHS
            }
            made.append({**task, "losses": losses})
        else:
            verdicts = ["under" if task["width"] == 2 else "enough"] * 10
            made.append({**task, "verdicts": verdicts, "sure": [True, False] * 5})
    return made


def test_claims_hold(records):
    summary = capacity.conclude(records)
    assert all(summary["claims"].values()) and len(summary["claims"]) == 3 * 2 + 1 + 2, summary["claims"]
    assert summary["diagnosis"]["table"] == [[160, 0, 0], [0, 160, 0], [0, 0, 0]]
    assert summary["diagnosis"]["surely"] == [[80, 0, 0], [0, 80, 0], [0, 0, 0]]
    assert summary["diagnosis"]["borderline"] == 0
    text = capacity.report(summary)
    assert len(text.splitlines()) < 20 and max(map(len, text.splitlines())) < 100
    rows = capacity.table(records, summary)
    counts = Counter(row["what"] for row in rows)
    assert counts == {"widths": 126, "samples": 2 * 3 * (5 + 4 + 4), "saved": 18, "verdicts": 9}
    figure = Figure(figsize=capacity.SIZE, layout="constrained")
    capacity.draw(figure, records, summary)
    figure.canvas.draw()


def test_claims_can_fail(records):
    made = deepcopy(records)
    for r in made:
        if r["part"] == "curve":
            r["losses"] = [r["losses"][0]] * 3  # nothing is learned by heart
        elif r["part"] == "verdict":
            r["verdicts"] = ["over"] * 10
    summary = capacity.conclude(made)
    assert not any(summary["claims"].values())
    assert summary["diagnosis"]["wrong"][0] == 1.0


def test_a_small_part_of_it():
    tasks = capacity.tasks(full=False, seed=0)
    curves = next(t for t in tasks if t["part"] == "curve" and t["data"] == "Iris" and t["width"] == 4)
    found = capacity.run({**curves, "splits": 2})
    assert numpy.shape(found["losses"]) == (3, 2, len(capacity.PLAN.checkpoints))
    assert found == capacity.run({**curves, "splits": 2})
    truth = next(t for t in tasks if t["part"] == "truth" and t["data"] == "numbers")
    assert set(capacity.run({**truth, "draws": 2})["losses"]) == set(map(str, capacity.WIDTHS))
    verdict = next(t for t in tasks if t["part"] == "verdict" and t["data"] == "two classes")
    assert set(capacity.run({**verdict, "draws": 2})["verdicts"]) <= {"under", "enough", "over"}


def test_no_two_verdicts_are_on_the_same_samples():
    for full in (False, True):
        tasks = [t for t in capacity.tasks(full=full, seed=0) if t["part"] == "verdict"]
        draws = [t["first"] + draw for t in tasks for draw in range(t["draws"])]
        assert len(set(draws)) == len(draws) == len(tasks) * tasks[0]["draws"]
        assert min(draws) > max(t["draws"] for t in capacity.tasks(full=full, seed=0) if t["part"] == "truth")


@pytest.mark.parametrize("noise", [0.0, 1.0, -0.5, float("nan")])
def test_bad_noise(noise, tmp_path, run):
    with pytest.raises(ValueError, match="noise, a share of wrong labels, should be between 0 and 1, got"):
        studies.study("capacity", tmp_path, noise=noise)
    status, out, err = run("study", "capacity", "--noise", noise)
    assert (status, out) == (2, "") and "is not a share between 0 and 1" in err
    assert not list(tmp_path.iterdir())
