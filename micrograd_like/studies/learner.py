"""A network that is trained many times on the same samples, each time from another start; compiled once for all."""

from array import array
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from ..nn import MLP, xavier
from ..optim import SGD
from ..recording import no_grad
from ..train import _evaluate, _labels, _train

if TYPE_CHECKING:
    import numpy

MOST = 200_000  # samples in one native call, so that Ctrl-C is heard


def native() -> bool:
    """Whether the extra [jit] is there."""
    try:
        import llvmlite  # noqa: F401
    except ImportError:
        return False
    return True


class Learner:
    """An MLP and SGD on some samples, for many starts.

    sizes: of all layers, as [2, 8, 1]. X, y, loss: the samples and the loss of one, as for `train.fit`.
    batch: samples for each update. activation: of the hidden units; init: of the weights, as for `nn.MLP`.
    X_val, y_val: samples that `validate` measures by.

    With the extra [jit] it is native code, without it the same computation in Python, which is the same but for
    rounding. Raises ValueError for what `nn.MLP` refuses.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        X: list[list[float]],
        y: list[Any],
        loss: Callable[[Any, Any], Any],
        batch: int,
        *,
        activation: str = "tanh",
        init: Callable[[Any, int], float] = xavier,
        X_val: list[list[float]] | None = None,
        y_val: list[Any] | None = None,
    ):
        self.sizes, self.loss, self.init = list(sizes), loss, init
        self.model = MLP(sizes[0], sizes[1:], activation=activation, rng=Random(0), init=init)
        self.params = self.model.parameters()
        self.optimizer = SGD(self.params, 1.0)
        self.batch = min(batch, len(X))
        self._native: Any = None
        self.take(X, y, X_val, y_val)
        if native():
            from ..compiler.training import Epochs, Evaluation, Sample

            sample = Sample(self.model, loss, self.pairs[0])
            self._evaluations = [Evaluation(sample, self.pairs)]
            if self.pairs_val:
                self._evaluations.append(Evaluation(sample, self.pairs_val, like=self._evaluations[0]))
            self._native = Epochs(sample, self.pairs, self.optimizer, self.batch)

    def take(
        self, X: list[list[float]], y: list[Any], X_val: list[list[float]] | None = None, y_val: list[Any] | None = None
    ) -> None:
        """Other samples from here on, of the same shapes; nothing is compiled anew.

        Raises ValueError for another shape, and for samples to validate by where there were none.
        """
        self.pairs, self.pairs_val = list(zip(X, y, strict=True)), list(zip(X_val or [], y_val or [], strict=True))
        self.labels = _labels(self.model(X[0]), y, self.loss)
        if self._native is not None:
            self._native.take(self.pairs)
            parts = [pairs for pairs in (self.pairs, self.pairs_val) if pairs]
            for evaluation, pairs in zip(self._evaluations, parts, strict=True):
                evaluation.take(pairs)

    def begin(self, seed: int, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        """A new start, drawn by the seed, which also decides the order of the samples from here on."""
        import numpy

        rng = Random(seed)
        for layer in self.model.layers:  # in the order in which `nn.MLP` draws
            for neuron in layer.neurons:
                for w in neuron.w:
                    w.data = self.init(rng, len(neuron.w))
                neuron.b.data = 0.0
        self._rng = numpy.random.default_rng(seed)
        self.optimizer.lr, self.optimizer.momentum, self.optimizer.weight_decay = lr, momentum, weight_decay
        self.optimizer._buffers = [0.0] * len(self.params)

    def run(self, epochs: int) -> "tuple[numpy.ndarray, numpy.ndarray | None]":
        """So many epochs of SGD: the mean loss of each, and the share of samples that were told right (or None).

        Both before the update of the sample's batch, as in `train.History`. Raises FloatingPointError if a loss or a
        gradient is not finite: the run has diverged.
        """
        import numpy

        n = len(self.pairs)
        # Where batches do not divide the samples, each epoch ends with a smaller one, and has to be called by itself.
        at_once = max(1, MOST // n) if n % self.batch == 0 else 1
        losses, shares = [], []
        for first in range(0, epochs, at_once):
            count = min(at_once, epochs - first)
            orders = self._rng.permuted(numpy.tile(numpy.arange(n, dtype="q"), (count, 1)), axis=1)
            try:
                for mean, share in self._epochs(orders):
                    losses.append(mean)
                    shares.append(share)
            except ValueError as error:
                raise FloatingPointError(str(error)) from error
        if self.labels is None:
            return numpy.concatenate(losses), None
        return numpy.concatenate(losses), numpy.concatenate(shares)

    def _epochs(self, orders: "numpy.ndarray") -> Any:
        import numpy

        if self._native is not None:
            lost, right = self._read(self._native.numbers(array("q", orders.tobytes())), orders, self.pairs)
            yield lost.mean(axis=-1), None if right is None else right.mean(axis=-1)
            return
        for order in orders.tolist():
            batches = [[self.pairs[i] for i in order[k : k + self.batch]] for k in range(0, len(order), self.batch)]
            mean, share = _train(self.model, batches, self.loss, self.labels, self.optimizer)
            yield numpy.array([mean]), numpy.array([share])

    def _read(self, numbers: Any, orders: "numpy.ndarray", pairs: list[Any]) -> Any:
        """The losses of the samples in these orders, and which of them were told right, from outputs and losses."""
        import numpy

        outs = numpy.frombuffer(numbers).reshape(*orders.shape, -1)
        if self.labels is None:
            return outs[..., -1], None
        targets = numpy.array([y for _, y in pairs])[orders]
        if outs.shape[-1] == 2:
            classes = numpy.where(outs[..., 0] > 0.0, self.labels[1], self.labels[0])
        else:
            classes = outs[..., :-1].argmax(axis=-1)
        return outs[..., -1], classes == targets

    def measure(self, *, validation: bool = False) -> tuple[float, float | None]:
        """The mean loss and the share told right with the parameters as they are, of the samples or those to validate.

        Raises FloatingPointError if the loss is not finite.
        """
        losses, right = self.each(validation=validation)
        return float(losses.mean()), None if right is None else float(right.mean())

    def each(self, *, validation: bool = False) -> "tuple[numpy.ndarray, numpy.ndarray | None]":
        """The loss of each sample, and whether it is told right, as `measure`."""
        import numpy

        pairs = self.pairs_val if validation else self.pairs
        if self._native is not None:
            losses, right = self._read(self._evaluations[validation].run(), numpy.arange(len(pairs)), pairs)
        else:
            with no_grad():
                found = [_evaluate(self.model, [pair], self.loss, self.labels) for pair in pairs]
            losses = numpy.array([loss for loss, _ in found])
            right = None if self.labels is None else numpy.array([share == 1.0 for _, share in found])
        if not numpy.isfinite(losses).all():
            raise FloatingPointError(f"the loss became {losses.mean()}")
        return losses, right
