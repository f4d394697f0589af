"""SGD against hand values and torch, the learning-rate schedules, and what is refused."""

import math
import random
import re

import pytest

from micrograd_like import Value
from micrograd_like.nn import MLP
from micrograd_like.optim import SGD, cosine, linear, step_decay


def test_two_steps_by_hand():
    """First g = 1 + 0.5 · 2, p = 2 - 0.25 · 2; then g = 1 + 0.5 · 1.5, p = 1.5 - 0.25 (0.5 · 2 + 1.75)."""
    p = Value(2.0)
    sgd = SGD([p], lr=0.25, momentum=0.5, weight_decay=0.5)
    p.grad = 1.0
    sgd.step()
    assert p.data == 1.5
    sgd.step()
    assert p.data == 0.8125


def test_without_options_it_is_the_rule_of_the_lecture():
    """w ← w - η ∂Loss/∂w, for Loss = (w - 3)²; and lr may be changed between steps."""
    w = Value(1.0)
    sgd = SGD([w], lr=0.25)
    for lr, expected in ((0.25, 2.0), (0.25, 2.5), (0.5, 3.0)):
        sgd.lr = lr
        sgd.zero_grad()
        ((w - 3.0) ** 2).backward()
        sgd.step()
        assert w.data == expected
    assert w.grad == -1.0
    sgd.zero_grad()
    assert w.grad == 0.0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_torch_agrees(momentum, weight_decay):
    torch = pytest.importorskip("torch")
    rng = random.Random(0)
    start = [rng.gauss(0, 1) for _ in range(5)]
    ours = [Value(x) for x in start]
    theirs = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    sgd = SGD(ours, lr=0.1, momentum=momentum, weight_decay=weight_decay)
    reference = torch.optim.SGD([theirs], lr=0.1, momentum=momentum, weight_decay=weight_decay)
    for step in range(30):
        gradient = [rng.gauss(0, 1) for _ in range(5)]
        for p, g in zip(ours, gradient, strict=True):
            p.grad = g
        theirs.grad = torch.tensor(gradient, dtype=torch.float64)
        if step == 15:
            sgd.lr = reference.param_groups[0]["lr"] = 0.02
        sgd.step()
        reference.step()
        assert [p.data for p in ours] == pytest.approx(theirs.tolist(), rel=1e-13, abs=1e-15)


# ---- a step is all or nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("name", "shown"), [("w1_1_1", "w1_1_1"), ("", "params[1]")])
def test_a_gradient_that_is_not_finite_changes_nothing(bad, name, shown):
    a, b = Value(1.0, name="a"), Value(2.0, name=name)
    sgd = SGD([a, b], lr=0.1, momentum=0.9)
    a.grad, b.grad = 1.0, bad
    message = f"the gradient of {shown} is {bad}; nothing was updated"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sgd.step()
    assert (a.data, b.data) == (1.0, 2.0)
    b.grad = 1.0
    sgd.step()
    assert (a.data, b.data) == (0.9, 1.9)  # the momentum does not know of the step refused


class Interrupted(Value):
    """A parameter at whose first change the user presses Ctrl-C."""

    @property
    def data(self):
        return self._data

    @data.setter
    def data(self, data):
        if hasattr(self, "_data") and not hasattr(self, "pressed"):
            self.pressed = True
            raise KeyboardInterrupt
        self._data = data


def test_an_interrupted_step_changes_nothing():
    params = [Value(1.0), Interrupted(2.0), Value(3.0)]
    sgd = SGD(params, lr=0.1, momentum=0.9)
    for p in params:
        p.grad = 1.0
    with pytest.raises(KeyboardInterrupt):
        sgd.step()
    assert [p.data for p in params] == [1.0, 2.0, 3.0]
    sgd.step()
    assert [p.data for p in params] == [0.9, 1.9, 2.9]


# ---- what is refused ---------------------------------------------------------------------------------------


def a_value():
    return Value(1.0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD([], lr=0.1), ValueError, "SGD needs at least one parameter, got none"),
        (lambda: SGD(iter([]), lr=0.1), ValueError, "SGD needs at least one parameter, got none"),
        (lambda: SGD([a_value(), 2.0], lr=0.1), TypeError,
         "SGD takes Values as parameters, params[1] is float 2.0"),
        (lambda: SGD(MLP(1, [1]).layers, lr=0.1), TypeError,
         "SGD takes Values as parameters, params[0] is Layer Layer of [LinearNeuron(1)]"),
        (lambda: SGD([a_value() * 2], lr=0.1), ValueError,
         "params[0] is the result of an operation, Value(data=2.0, grad=0.0): changing it has no effect"),
        (lambda: SGD([a_value()] * 2, lr=0.1), ValueError,
         "a parameter occurs twice in params, and would be updated twice"),
        (lambda: SGD([a_value()], lr=0.0), ValueError, "SGD takes a learning rate lr > 0, got 0.0"),
        (lambda: SGD([a_value()], lr=-1), ValueError, "SGD takes a learning rate lr > 0, got -1"),
        (lambda: SGD([a_value()], lr=math.nan), ValueError, "SGD takes a learning rate lr > 0, got nan"),
        (lambda: SGD([a_value()], lr=math.inf), ValueError, "SGD takes a learning rate lr > 0, got inf"),
        (lambda: SGD([a_value()], 0.1, momentum=1.0), ValueError, "SGD takes 0 <= momentum < 1, got 1.0"),
        (lambda: SGD([a_value()], 0.1, momentum=-0.1), ValueError, "SGD takes 0 <= momentum < 1, got -0.1"),
        (lambda: SGD([a_value()], 0.1, momentum=math.nan), ValueError,
         "SGD takes 0 <= momentum < 1, got nan"),
        (lambda: SGD([a_value()], 0.1, weight_decay=-0.1), ValueError,
         "SGD takes weight_decay >= 0, got -0.1"),
        (lambda: SGD([a_value()], 0.1, weight_decay=math.nan), ValueError,
         "SGD takes weight_decay >= 0, got nan"),
        (lambda: linear(1.0, 0.1, 0), ValueError, "a schedule takes epochs >= 1, got 0"),
        (lambda: cosine(1.0, 0.1, -5), ValueError, "a schedule takes epochs >= 1, got -5"),
        (lambda: step_decay(1.0, 0.5, 0), ValueError, "step_decay takes every >= 1, got 0"),
    ],
)  # fmt: skip
def test_messages(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()


# ---- schedules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (linear(1.0, 0.5, 4), [1.0, 0.875, 0.75, 0.625, 0.5, 0.5, 0.5]),
        (linear(0.25, 0.5, 2), [0.25, 0.375, 0.5, 0.5]),
        (linear(0.3, 0.1, 1), [0.3, 0.1, 0.1]),
        (cosine(1.0, 0.0, 4), [1.0, 0.8535533905932737, 0.5, 0.1464466094067263, 0.0, 0.0]),
        (cosine(0.3, 0.1, 2), [0.3, 0.2, 0.1, 0.1]),
        (step_decay(1.0, 0.5, 2), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125]),
        (step_decay(0.1, 1.0, 1), [0.1, 0.1, 0.1]),
    ],
)
def test_schedules(schedule, rates):
    assert [schedule(epoch) for epoch in range(len(rates))] == pytest.approx(rates, rel=1e-15, abs=1e-16)


@pytest.mark.parametrize("make", [linear, cosine])
@pytest.mark.parametrize(("start", "end"), [(0.3, 0.1), (0.1, 0.7), (1e-9, 3.0)])
def test_schedules_begin_and_end_exactly(make, start, end):
    """end + (start - end) would be another number than start for some of these."""
    schedule = make(start, end, 7)
    assert schedule(0) == start
    assert schedule(7) == schedule(8) == schedule(1000) == end


def test_linear_is_micrograds_demo():
    """Its notebook trains with learning_rate = 1.0 - 0.9*k/100."""
    schedule = linear(1.0, 0.1, 100)
    assert [schedule(k) for k in range(100)] == pytest.approx([1.0 - 0.9 * k / 100 for k in range(100)])


def test_torchs_schedulers_agree():
    torch = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    for ours, theirs in (
        (cosine(0.5, 0.05, 20), lambda sgd: schedulers.CosineAnnealingLR(sgd, 20, eta_min=0.05)),
        (linear(0.5, 0.05, 20), lambda sgd: schedulers.LinearLR(sgd, 1.0, 0.1, total_iters=20)),
        (step_decay(0.5, 0.3, 7), lambda sgd: schedulers.StepLR(sgd, 7, gamma=0.3)),
    ):
        sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        scheduler = theirs(sgd)
        for epoch in range(20):
            assert ours(epoch) == pytest.approx(sgd.param_groups[0]["lr"], rel=1e-12)
            sgd.step()
            scheduler.step()


def test_the_learning_rate_stays_positive():
    sgd = SGD([Value(1.0)], lr=0.1)
    with pytest.raises(ValueError, match="SGD takes a learning rate lr > 0, got -1"):
        sgd.lr = -1
    assert sgd.lr == 0.1


def test_a_model_is_not_its_parameters():
    with pytest.raises(TypeError, match=r"^SGD takes the parameters, as from model.parameters\(\), not MLP$"):
        SGD(MLP(1, [1]), lr=0.1)
