"""Stochastic gradient descent, and learning rates that change from epoch to epoch."""

from collections.abc import Callable, Iterable
from math import cos, inf, isfinite, pi

from .engine import Value


class SGD:
    """Gradient descent with momentum and weight decay, by torch's rule. For each parameter p:

        g = p.grad + weight_decay * p
        buffer = momentum * buffer + g        (0 before the first step)
        p -= lr * buffer

    With neither, this is the lecture's w ← w - η ∂Loss/∂w. `lr` may be set between steps.

    params: the Values to change, as from `model.parameters()`.
    Raises TypeError if one is not a Value. Raises ValueError if there are none, if one occurs twice or is the
    result of an operation, and unless lr > 0, 0 <= momentum < 1 and weight_decay >= 0.
    """

    def __init__(self, params: Iterable[Value], lr: float, momentum: float = 0.0, weight_decay: float = 0.0):
        if not isinstance(params, Iterable):
            raise TypeError(f"SGD takes the parameters, as from model.parameters(), not {type(params).__name__}")
        self.params = list(params)
        if not self.params:
            raise ValueError("SGD needs at least one parameter, got none")
        for i, p in enumerate(self.params):
            if not isinstance(p, Value):
                raise TypeError(f"SGD takes Values as parameters, params[{i}] is {type(p).__name__} {p!r:.60}")
            if p.op is not None:
                raise ValueError(f"params[{i}] is the result of an operation, {p!r}: changing it has no effect")
        if len(set(self.params)) < len(self.params):
            raise ValueError("a parameter occurs twice in params, and would be updated twice")
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"SGD takes 0 <= momentum < 1, got {momentum!r}")
        if not 0.0 <= weight_decay < inf:
            raise ValueError(f"SGD takes weight_decay >= 0, got {weight_decay!r}")
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self._buffers = [0.0] * len(self.params)

    @property
    def lr(self) -> float:
        """The learning rate. Raises ValueError when it is set to what is not more than 0."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        if not 0.0 < lr < inf:
            raise ValueError(f"SGD takes a learning rate lr > 0, got {lr!r}")
        self._lr = lr

    def step(self) -> None:
        """Change every parameter by its gradient, or none if that is interrupted.

        Raises ValueError, changing none, if a gradient is nan or infinite.
        """
        for i, p in enumerate(self.params):
            if not isfinite(p.grad):
                raise ValueError(f"the gradient of {p.name or f'params[{i}]'} is {p.grad}; nothing was updated")
        before = [p.data for p in self.params]
        buffers = [
            self.momentum * buffer + (p.grad + self.weight_decay * p.data)
            for buffer, p in zip(self._buffers, self.params, strict=True)
        ]
        try:
            for p, buffer in zip(self.params, buffers, strict=True):
                p.data -= self.lr * buffer
            self._buffers = buffers
        except BaseException:
            for p, x in zip(self.params, before, strict=True):
                p.data = x
            raise

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0.0."""
        for p in self.params:
            p.grad = 0.0


# Schedules: each returns a function from the epoch, counted from 0, to its learning rate.


def linear(start: float, end: float, epochs: int) -> Callable[[int], float]:
    """From `start` at epoch 0 in equal steps to `end` at epoch `epochs`, and `end` from there on."""
    return _between(start, end, epochs, lambda t: 1.0 - t)


def cosine(start: float, end: float, epochs: int) -> Callable[[int], float]:
    """From `start` at epoch 0 along half a cosine to `end` at epoch `epochs`, and `end` from there on.

    Loshchilov and Hutter, SGDR: Stochastic gradient descent with warm restarts, 2017, equation 5.
    """
    return _between(start, end, epochs, lambda t: 0.5 + 0.5 * cos(pi * t))


def step_decay(start: float, factor: float, every: int) -> Callable[[int], float]:
    """`start`, multiplied by `factor` after each `every` epochs. Raises ValueError unless every >= 1."""
    if every < 1:
        raise ValueError(f"step_decay takes every >= 1, got {every!r}")
    return lambda epoch: start * factor ** (epoch // every)


def _between(start: float, end: float, epochs: int, share: Callable[[float], float]) -> Callable[[int], float]:
    if epochs < 1:
        raise ValueError(f"a schedule takes epochs >= 1, got {epochs!r}")

    def schedule(epoch: int) -> float:
        of_start = share(min(epoch / epochs, 1.0))
        return of_start * start + (1.0 - of_start) * end

    return schedule
