"""The commands `train` and `predict`: tables of one's own, from the CSV file to the predictions."""

import csv
import json
import os
import random
import sys
from math import exp, sqrt
from pathlib import Path
from statistics import fmean

import pytest

from micrograd_like import data, losses, nn, save, tabular, train
from micrograd_like.table import Categories, Numbers, encode, read, understand

IRIS = Path(data.__file__).parent / "datasets" / "iris.csv"


pytestmark = pytest.mark.usefixtures("folder")


def written(text, name="t.csv"):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Path(name)


def houses(count=120, seed=0):
    """A price that follows from the area and the kind; the other columns are what tables have as well."""
    rng = random.Random(seed)
    lines = ["HouseId,address,kind,area,garden,country,price"]
    for i in range(count):
        kind, area = rng.choice(["flat", "house", ""]), rng.randint(20, 200)
        garden = "" if i % 5 == 0 else rng.randint(1, 500)
        price = 3 * area + {"flat": 0, "house": 200, "": 50}[kind]
        lines.append(f'{7 * i},"street {i}, X",{kind or rng.choice(["", "NA", "?"])},{area},{garden},AT,{price}')
    return "\n".join(lines) + "\n"


# ---- from a file to a file ---------------------------------------------------------------------------------


def test_classes(run):
    status, out, err = run("train", IRIS, "--target", "species", "--seed", "2", "--epochs", "60")
    lines = out.splitlines()
    assert status == 0 and "epoch 59, lr " in err
    assert lines[:4] == [
        f"{IRIS}: 150 rows, 5 columns",
        "species: classification, as it has text; setosa (50), versicolor (50), virginica (50)",
        f"inputs: {', '.join(data.iris().feature_names)}",
        "MLP 4-16-3, tanh linear, 131 parameters; 120 rows to learn from, 30 to be tested on",
    ]
    found = float(lines[4].removeprefix("test accuracy ").split("%")[0])
    assert found > 90 and lines[4].endswith("% of 30 rows   (always setosa: 33.3%)")
    counts = [list(map(int, line.split()[1:])) for line in lines[6:9]]
    assert lines[5].split() == ["is", "\\", "taken", "for", "setosa", "versicolor", "virginica"]
    assert [sum(row) for row in counts] == [10, 10, 10]
    assert round(sum(counts[i][i] for i in range(3)) / 0.3, 1) == found
    assert lines[9:] == ["model.json"]

    status, out, err = run("predict", "model.json", IRIS)
    header, *rows = csv.reader(out.splitlines())
    assert (status, err, header) == (0, "", ["species", "probability"])
    assert all(1 / 3 < float(p) <= 1 for _, p in rows)
    right = sum(
        name == line.split(",")[-1] for (name, _), line in zip(rows, IRIS.read_text().splitlines()[1:], strict=True)
    )
    assert len(rows) == 150 and right > 140
    assert run("predict", "model.json", IRIS, "--out", "p.csv") == (0, "p.csv\n", "")
    assert Path("p.csv").read_text() == out


def test_numbers(run):
    table = read(written(houses()))
    prices = table.numbers("price")
    _, _, places, _ = data.split([[i] for i in range(120)], prices, 0.2, 0)
    training = [row for i, row in enumerate(table.rows) if [i] not in places]
    garden = [float(row[4]) for row in training if row[4]]
    status, out, _ = run("train", "t.csv", "--target", "price", "--hidden", "8,4", "--out", "m.json")
    assert status == 0
    assert out.splitlines()[1:8] == [
        "price: regression, as it has many different numbers (--task classification takes it as that); from 60 to 800",
        "HouseId: left out: like an identifier, whole numbers that are all different; --keep 'HouseId' keeps it",
        "address: left out: like an identifier, 120 different texts in 120 rows; --keep 'address' keeps it",
        f"kind: missing in {sum(row[2] == '' for row in training)}, which is a category",
        f"garden: missing in {96 - len(garden)}: the mean {fmean(garden):.4g} instead, and a column that says so",
        "country: left out: always 'AT'",
        "inputs: kind, area, garden",
    ]
    assert "MLP 6-8-4-1, tanh tanh linear, 97 parameters; 96 rows to learn from, 24 to be tested on\n" in out
    ours, mean = (line for line in out.splitlines() if "R²" in line)
    assert float(ours.split()[2].strip(",")) > 0.95 and mean.startswith("always the mean: R² -0.0")
    status, out, err = run("predict", "m.json", "t.csv")
    header, *numbers = out.splitlines()
    error = sqrt(sum((float(a) - b) ** 2 for a, b in zip(numbers, prices, strict=True)) / len(prices))
    assert (status, err, header) == (0, "", "price") and error < 40


def test_the_same_seed_gives_the_same_file(run):
    written(houses(40))
    arguments = ("train", "t.csv", "--target", "kind", "--epochs", "3", "--force", "--out")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(*arguments, name, "--seed", seed)[0] == 0
    assert Path("a").read_bytes() == Path("b").read_bytes() != Path("c").read_bytes()


def test_nothing_is_learned_from_the_rows_set_apart(run):
    """The rows of the test part can be anything: means, categories and parameters stay."""
    rows = houses().splitlines()
    written("\n".join(rows))
    table = read(Path("t.csv"))
    prices = [row[-1] for row in table.rows]
    _, _, places, _ = data.split([[i] for i in range(120)], list(map(float, prices)), 0.2, 0)
    assert run("train", "t.csv", "--target", "price", "--epochs", "3", "--out", "a")[0] == 0
    for (i,) in places:
        rows[int(i) + 1] = f"{7 * int(i)},x{i},castle,999999,7777,AT,{prices[int(i)]}"
    written("\n".join(rows))
    assert run("train", "t.csv", "--target", "price", "--epochs", "3", "--out", "b")[0] == 0
    assert Path("a").read_bytes() == Path("b").read_bytes()


@pytest.mark.parametrize(
    ("cells", "arguments", "text"),
    [
        (["a", "b"] * 9, [], "classification, as it has text; a (9), b (9)"),
        ([0, 1, 10] * 6, [],
         "classification, as it has few whole numbers (--task regression takes it as that); 0 (6), 1 (6), 10 (6)"),
        (["1", "1.0", "2"] * 6, [],
         "classification, as it has few whole numbers (--task regression takes it as that); 1 (12), 2 (6)"),
        ([0, 1, 2] * 6, ["--task", "regression"], "regression, as asked for; from 0 to 2"),
        ([0.5, 1, 2] * 6, [],
         "regression, as it has many different numbers (--task classification takes it as that); from 0.5 to 2"),
        ([0.5, 1] * 9, ["--task", "classification"], "classification, as asked for; 0.5 (9), 1 (9)"),
        (range(18), [],
         "regression, as it has many different numbers (--task classification takes it as that); from 0 to 17"),
        ([0.5, 1] * 9, ["--text", "y"], "classification, as it has text; 0.5 (9), 1 (9)"),
        (["a", "b", ""] * 6, [], "missing in 6, which are left out\ny: classification, as it has text; a (6), b (6)"),
    ],
)  # fmt: skip
def test_which_task(cells, arguments, text, run):
    written("x,y\n" + "".join(f"{i % 7},{cell}\n" for i, cell in enumerate(cells)))
    status, out, _ = run("train", "t.csv", "--target", "y", "--epochs", "2", *arguments)
    assert status == 0 and f"\ny: {text}\n" in out


def test_columns_that_are_asked_for(run):
    written(houses())
    arguments = ["--drop", "garden", "area", "--keep", "HouseId", "--text", "HouseId"]
    _, out, _ = run("train", "t.csv", "--target", "price", "--epochs", "2", *arguments)
    assert "inputs: HouseId, kind\n" in out and "HouseId: 96 categories, of which the 50 most frequent" in out


def test_classes_that_are_too_rare_or_too_many_to_show(run):
    written("x,y\n" + "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(20)) + "1,0c\n")
    out = run("train", "t.csv", "--target", "y", "--epochs", "2", "--test", "0.6")[1]
    assert "y: no row to learn from for 0c; too few have it\n" in out
    written("x,y\n" + "".join(f"{i % 7},c{i % 21}\n" for i in range(84)))
    out = run("train", "t.csv", "--target", "y", "--epochs", "2", "--force")[1]
    assert "(a table of confusions is shown for 20 classes at most)" in out


def test_a_test_part_that_is_all_the_same():
    assert tabular.scores([2.0, 2.0], [2.0, 4.0]) == (sqrt(2.0), "not defined (all the same)")
    assert tabular.scores([0.0, 2.0], [1.0, 1.0]) == (1.0, "0.000")


def test_ctrl_c_keeps_what_was_learned(run, monkeypatch):
    def schedule(lr, end, epochs):
        def rate(epoch):
            if epoch == 5:
                raise KeyboardInterrupt
            return lr

        return rate

    monkeypatch.setattr(tabular, "cosine", schedule)
    status, out, _ = run("train", IRIS, "--target", "species")
    assert status == 130 and "Interrupted after 5 of 100 epochs; what was learned until then:\ntest accuracy" in out
    assert run("predict", "model.json", IRIS)[0] == 0


# ---- what is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x y\n,z\n",
        "\ufeffa,b\n1,x y\n,z\n",
        "a;b\r\n1;x y\r\nNA;z\r\n",
        "a\tb\n\n 1 \t x y\nn/a\tz\n\n",
        '"a","b"\n"1","x y"\n"?","z"',
    ],
)
def test_the_same_table(content):
    table = read(written(content))
    assert (table.names, table.rows) == (["a", "b"], [["1", "x y"], ["", "z"]])
    assert table.numbers("a") == [1.0, None]


def test_rows_as_numbers():
    table = read(written("n,m,c,w\n1,5,a,4\n3,,b,4\n5,7,,4\n9,9,q,9\n"))
    columns, notes = understand(table, [0, 1, 2], set(), {"n", "c"}, set())
    _, scale = data.moments([1, 3, 5])
    assert scale == pytest.approx(sqrt(8 / 3))
    assert columns == [
        Numbers("n", 3.0, scale, missing=False),
        Numbers("m", 6.0, 1.0, missing=True),
        Categories("c", ["", "a", "b"]),
    ]
    assert notes == [
        "m: missing in 1: the mean 6 instead, and a column that says so",
        "c: missing in 1, which is a category",
        "w: left out: always '4'",
    ]
    assert encode(columns, table) == [
        [-2 / scale, -1.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0],
        [2 / scale, 1.0, 0.0, 1.0, 0.0, 0.0],
        [6 / scale, 3.0, 0.0, 0.0, 0.0, 0.0],
    ]


NOT_A_NUMBER = "is not a number below 1e+150 in size; correct it, or leave it empty if it is missing"
TOO_FEW = "one to learn from and one to be tested on are needed"
QUOTES = "needs quotes around it"
REFUSED = {  # what a file t.csv has, and what is said of it
    "empty": ("", "t.csv is empty; its first line should name the columns"),
    "empty lines": ("\n\n", "t.csv is empty; its first line should name the columns"),
    "a header": ("x,y\n", "t.csv names 2 columns and has no rows; add some below its first line"),
    "one row": ("x,y\n1,2\n", f"t.csv: rows that have 'y': 1; {TOO_FEW}"),
    "no target": ("x,y\n1,\n2,NA\n", f"t.csv: rows that have 'y': 0; {TOO_FEW}"),
    "two rows": ("x,y\n1,2\n3,4\n", "--test 0.2 of 2 rows leaves one part empty; choose another one"),
    "one class": ("x,y\n" + "1,a\n" * 9, "t.csv: 'y' is 'a' in all rows, so there is nothing to learn"),
    "no inputs": ("x,y\n" + "1,a\n1,b\n" * 9, "t.csv has no column to learn from. x: left out: always '1'"),
    "target alone": ("y\n" + "a\nb\n" * 9, "t.csv has no column to learn from. Add some beside the target"),
    "text": (
        "x,y\n1,a\n2,b\n3,a\ntwo,b\n",
        f"t.csv, line 5, column 'x': 'two' {NOT_A_NUMBER}, or take the column as text with --text 'x'",
    ),
    "infinite": (
        "x,y\n1,a\n2,b\n3,a\ninf,b\n",
        f"t.csv, line 5, column 'x': 'inf' {NOT_A_NUMBER}, or take the column as text with --text 'x'",
    ),
    "a long cell": (
        f"x,y\n1,a\n{'2' * 10_000_000},b\n",
        "t.csv, line 3: a cell has more than 131,072 characters; is a quote left open?",
    ),
    "an open quote": ('x,y\n"1,a\n2,b\n', "t.csv, line 3: unexpected end of data"),
    "Latin-1": ("x,y\n1,a\n2,é\n".encode("latin-1"), "t.csv, line 3: not UTF-8 text; save it as UTF-8"),
    "UTF-16": ("x,y\n1,a\n".encode("utf-16"), "t.csv, line 1: not UTF-8 text; save it as UTF-8"),
    "NUL": ("x,y\n1,a\n2,\0\n", "t.csv, line 3: a NUL byte, which no text has; save the table as CSV in UTF-8"),
    "another target": ("x,z\n1,a\n", "t.csv has no column 'y'; it has x, z"),
    "twice": ("x,y,x\n1,2,3\n", "t.csv, line 1: two columns are called 'x'; rename one"),
    "short": (
        "x,y\n1,2\n\n3\n",
        f"t.csv, line 4: 1 cells, and line 1 names 2 columns; a cell that contains ',' {QUOTES}",
    ),
    "long": (
        "x;y\n1;2\n3;4;5\n",
        f"t.csv, line 3: 3 cells, and line 1 names 2 columns; a cell that contains ';' {QUOTES}",
    ),
    "many classes": (
        "x,y\n" + "".join(f"{i % 7},c{i}\n" for i in range(101)),
        "t.csv: 'y' has 101 different values, and at most 100 classes are learned; choose another --target",
    ),
}


def refused(result, text):
    """Refused is what ends with 2 and says why in one line on stderr."""
    status, _, err = result
    assert (status, err) == (2, f"micrograd-like: {text}\n")
    assert not Path("model.json").exists()


@pytest.mark.parametrize("what", REFUSED)
def test_tables_that_are_refused(what, run):
    content, text = REFUSED[what]
    written(content)
    refused(run("train", "t.csv", "--target", "y"), text)


def test_files_that_cannot_be_read(run, folder):
    (folder / "d.csv").mkdir()
    refused(run("train", "d.csv", "--target", "y"), "d.csv: Is a directory")
    refused(run("train", "no.csv", "--target", "y"), "no.csv: No such file or directory")
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        written("x,y\n1,2\n").chmod(0)
        refused(run("train", "t.csv", "--target", "y"), "t.csv: Permission denied")


def test_other_refusals(run):
    written(houses())
    start = ("train", "t.csv", "--target")
    wrong = "t.csv has no column 'z'; it has HouseId, address, kind, area, garden, country, price"
    refused(run(*start, "price", "--drop", "z"), wrong)
    refused(run(*start, "price", "--keep", "z"), wrong)
    refused(
        run(*start, "kind", "--task", "regression"),
        f"t.csv, line 2, column 'kind': 'house' {NOT_A_NUMBER}, or choose --task classification",
    )
    refused(
        run(*start, "area", "--task", "classification", "--text", "area", "--test", "0.001"),
        "--test 0.001 of 120 rows leaves one part empty; choose another one",
    )
    status, _, err = run(*start, "price", "--lr", "1e6", "--epochs", "9")
    assert status == 2 and err.splitlines()[-1].startswith("micrograd-like: epoch ")
    assert err.endswith("Try a smaller --lr\n") and not Path("model.json").exists()
    refused(run(*start, "price", "--out", "no/m.json"), "no: No such file or directory")
    refused(run(*start, "price", "--out", "."), ".: Is a directory")
    written("mine", "model.json")
    status, out, err = run(*start, "price")
    assert (status, out) == (2, "")  # before any training
    assert err == "micrograd-like: model.json is there already and was kept; --force replaces it\n"
    assert Path("model.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--hidden", "16-16"], "argument --hidden: '16-16' is not sizes of layers, as 16,16, or none"),
        (["--hidden", "0"], "argument --hidden: '0' is not sizes of layers, as 16,16, or none"),
        (["--epochs", "0"], "argument --epochs: '0' is not a whole number from 1 on"),
        (["--batch", "x"], "argument --batch: 'x' is not a whole number from 1 on"),
        (["--lr", "nan"], "argument --lr: 'nan' is not a number above 0"),
        (["--lr", "inf"], "argument --lr: 'inf' is not a number above 0"),
        (["--test", "1"], "argument --test: '1' is not a share between 0 and 1"),
        (["--test", "x"], "argument --test: 'x' is not a share between 0 and 1"),
    ],
)
def test_bad_arguments(arguments, text, run):
    status, out, err = run("train", IRIS, "--target", "species", *arguments)
    assert (status, out) == (2, "") and err.endswith(f"error: {text}\n")


# ---- predicting --------------------------------------------------------------------------------------------


@pytest.fixture
def model(run):
    """A model of two classes in model.json; x has numbers, m missing ones, c categories."""
    lines = [f"{i % 9},{i % 5 or ''},{'abc'[i % 3]},{('no', 'yes')[i % 9 > 4]}" for i in range(90)]
    written("x,m,c,y\n" + "\n".join(lines) + "\n")
    assert run("train", "t.csv", "--target", "y", "--hidden", "none")[0] == 0
    return tabular.load(Path("model.json"))


NONE_OF_THEM = "rows are none of the categories of training, and taken as such"


def test_what_is_odd_is_told(model, run):
    written("c,z,m,x,y\na,1,2,8,\nd,1,,,\nd,1,3,1,\n,1,3,0,yes\n", "new.csv")
    status, out, err = run("predict", "model.json", "new.csv")
    assert status == 0 and [line.split(",")[0] for line in out.splitlines()] == ["y", "yes", "no", "no", "no"]
    assert err.splitlines() == [
        "micrograd-like: new.csv: columns that the model does not know are not looked at: z",
        "micrograd-like: new.csv, column 'x': 1 missing, as none was in training; the mean 3.972 is taken",
        f"micrograd-like: new.csv, column 'c': 3 {NONE_OF_THEM}: 'd', missing",
    ]


ADD_THEM = "add them (an empty cell is a missing value), or rename those that are meant"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            "x,c\n1,a\n",
            f"new.csv lacks columns that the model needs: m; {ADD_THEM}",
        ),
        ("x,c,m\n1,a,1\nlow,a,1\n", f"new.csv, line 3, column 'x': 'low' {NOT_A_NUMBER}"),
        ("x,c,m\n", "new.csv names 3 columns and has no rows; add some below its first line"),
    ],
)
def test_tables_that_do_not_fit(content, text, model, run):
    written(content, "new.csv")
    assert run("predict", "model.json", "new.csv") == (2, "", f"micrograd-like: {text}\n")


def test_the_file_is_the_model(model):
    """It is what predicts: the same numbers from the file's own, by hand."""
    content = json.loads(Path("model.json").read_text())
    assert (content["format"], content["version"]) == ("micrograd_like table model", 1)
    table = read(Path("t.csv"))
    *w, b = content["parameters"]
    by_hand = [sum(wi * xi for wi, xi in zip(w, x, strict=True)) + b for x in encode(model.columns, table)]
    assert model.outputs(table) == pytest.approx(by_hand, rel=1e-12)
    tabular.save(model, Path("again.json"))
    assert Path("again.json").read_bytes() == Path("model.json").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["again.json", "model.json", "t.csv"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": "poem"}, 'it does not say "format": "micrograd_like table model"'),
        ({"more": 2}, "more does not belong there"),
        ({"sha256": "0"}, "its checksum is not that of its content"),
        ({"parameters": [1.0]}, "ValueError('zip() argument 2 is shorter than argument 1')"),
        ({"parameters": ["a"] * 6}, ""),
        ({"sizes": [5, 1]}, ""),
        ({"sizes": [6, 2]}, ""),
        ({"sizes": 3}, ""),
        ({"columns": [{}]}, ""),
        ({"target": {"name": "y", "classes": ["a", "b", "c"]}}, "its classes are not the outputs of its network"),
        ({"target": {"name": "y", "classes": []}, "columns": []}, ""),
        ({"columns": [{"name": "x", "mean": "a", "deviation": 0, "missing": False}]}, ""),
        ({"ignored": 3}, ""),
    ],
)
def test_files_that_are_no_models(change, text, model, run):
    content = json.loads(Path("model.json").read_text())
    del content["sha256"]
    written(json.dumps({**content, **change}), "m.json")
    status, out, err = run("predict", "m.json", "t.csv")
    assert (status, out) == (2, "") and text in err and err.count("\n") == 1
    assert err.startswith("micrograd-like: m.json is damaged, or no file of micrograd_like: ")


def test_files_of_another_kind_or_version(model, folder, run):
    content = json.loads(Path("model.json").read_text())
    written(json.dumps({**content, "version": 2}), "m.json")
    assert run("predict", "m.json", "t.csv")[2] == (
        "micrograd-like: m.json has version 2 of the format, and this micrograd_like reads 1: install a newer one\n"
    )
    save(nn.MLP(1, [1]), "m.json")
    assert run("predict", "m.json", "t.csv")[2] == (
        "micrograd-like: m.json holds a model, for load(path); expected was a model of a table, for micrograd-like "
        "predict\n"
    )


@pytest.mark.parametrize("content", ["", "[]", "3", "null", "[" * 10**5, b"\xff\xfe", "x,y\n1,2\n"])
def test_files_that_are_something_else(content, run):
    written("x,y\n1,2\n")
    written(content, "m.json")
    status, out, err = run("predict", "m.json", "t.csv")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("micrograd-like: m.json is damaged, or no file of micrograd_like: ")


# ---- the parts they are made of ----------------------------------------------------------------------------


def test_probabilities():
    assert train.probabilities(0.0) == [0.5, 0.5]
    assert train.probabilities([1e4, 0.0, -1e4]) == [1.0, 0.0, 0.0]
    for loss, logits in ((losses.cross_entropy, [0.5, -1.0, 2.0]), (losses.binary_cross_entropy, -3.0)):
        assert train.probabilities(logits)[1] == pytest.approx(exp(-loss(logits, 1)))


@pytest.mark.parametrize("sizes", [[3, 1], [4, 2]])
def test_outputs_are_those_of_the_model(sizes, monkeypatch):
    model = nn.MLP(2, sizes, rng=random.Random(0))
    X = [[0.5, -1.0], [2.0, 3.0]]
    plain = [[z.data for z in out] if sizes[-1] > 1 else out.data for out in map(model, X)]
    assert train.outputs(model, X) == plain
    with pytest.raises(ValueError, match="takes 2 inputs, got 3"):
        train.outputs(model, [[1.0, 2.0, 3.0]])


def test_outputs_as_native_code():
    pytest.importorskip("llvmlite")
    model = nn.MLP(8, [32, 3], rng=random.Random(0))
    rng = random.Random(1)
    X = [[rng.gauss(0, 1) for _ in range(8)] for _ in range(3000)]
    found = train.outputs(model, X)
    for i in (0, 1500, 2999):
        assert found[i] == pytest.approx([z.data for z in model(X[i])], rel=1e-12)


def test_it_needs_the_standard_library_alone(run, monkeypatch):
    for name in ("llvmlite", "numpy", "rich", "sklearn"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run("train", IRIS, "--target", "species", "--epochs", "2", "--hidden", "4")[0] == 0
    assert run("predict", "model.json", IRIS)[0] == 0
