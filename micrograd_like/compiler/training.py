"""Epochs of stochastic gradient descent as native code: what `fit` uses where it can."""

import ctypes
from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from math import isfinite
from typing import Any

from ..constant import constant
from ..optim import SGD
from ..transforms import flatten
from .kernel import Kernel
from .lowering import lanes_for
from .trace import ARGUMENT, PARAMETER, Program, Trace, shape, traced

EPOCH = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; For each batch: collect its samples, run the code on them, and change each parameter p by its gradient g:
; b = momentum b + (g + decay p), p = p - rate b. Ends at a loss or a gradient that is not finite. Returns how many
; batches are done.
define i64 @epoch(ptr %table, ptr %order, i64 %n, i64 %size, ptr %sources, ptr %rates, ptr noalias %momenta,
                  double %momentum, double %decay) {{
start:
  %inputs.to = getelementptr ptr, ptr %table, i64 {inputs}
  %inputs = load ptr, ptr %inputs.to
  %targets.to = getelementptr ptr, ptr %table, i64 {targets}
  %targets = load ptr, ptr %targets.to
  %inputs.from = load ptr, ptr %sources
  %targets.at = getelementptr ptr, ptr %sources, i64 1
  %targets.from = load ptr, ptr %targets.at
  %parameters.to = getelementptr ptr, ptr %table, i64 {parameters}
  %p = load ptr, ptr %parameters.to
  %gradient.to = getelementptr ptr, ptr %table, i64 {gradient}
  %g = load ptr, ptr %gradient.to
  %out.to = getelementptr ptr, ptr %table, i64 {out}
  %out = load ptr, ptr %out.to
  br label %batch
batch:
  %from = phi i64 [0, %start], [%to, %updated]
  %done = phi i64 [0, %start], [%done.next, %updated]
  %left = sub i64 %n, %from
  %fewer = icmp slt i64 %left, %size
  %count = select i1 %fewer, i64 %left, i64 %size
  %to = add i64 %from, %count
  br label %sample
sample:
  %i = phi i64 [0, %batch], [%i.next, %sample]
  %place = add i64 %from, %i
  %which.at = getelementptr i64, ptr %order, i64 %place
  %which = load i64, ptr %which.at
  %x.at = mul i64 %which, {inputs_bytes}
  %x.from = getelementptr i8, ptr %inputs.from, i64 %x.at
  %x.place = mul i64 %i, {inputs_bytes}
  %x.to = getelementptr i8, ptr %inputs, i64 %x.place
  call void @llvm.memcpy.p0.p0.i64(ptr %x.to, ptr %x.from, i64 {inputs_bytes}, i1 false)
  %y.at = mul i64 %which, {targets_bytes}
  %y.from = getelementptr i8, ptr %targets.from, i64 %y.at
  %y.place = mul i64 %i, {targets_bytes}
  %y.to = getelementptr i8, ptr %targets, i64 %y.place
  call void @llvm.memcpy.p0.p0.i64(ptr %y.to, ptr %y.from, i64 {targets_bytes}, i1 false)
  %i.next = add i64 %i, 1
  %i.more = icmp slt i64 %i.next, %count
  br i1 %i.more, label %sample, label %compute
compute:
  %out.offset = mul i64 %from, {outs_bytes}
  %out.here = getelementptr i8, ptr %out, i64 %out.offset
  store ptr %out.here, ptr %out.to
  %float = sitofp i64 %count to double
  %scale = fdiv double 1.0, %float
  call void @run(ptr %table, i64 %count, double %scale)
  br label %loss
loss:
  %l = phi i64 [0, %compute], [%l.next, %loss]
  %sum = phi double [0.0, %compute], [%sum.next, %loss]
  %l.at = mul i64 %l, {outs_bytes}
  %l.place = getelementptr i8, ptr %out.here, i64 %l.at
  %l.last = getelementptr i8, ptr %l.place, i64 {loss_byte}
  %l.value = load double, ptr %l.last
  %l.odd = fsub double %l.value, %l.value
  %sum.next = fadd double %sum, %l.odd
  %l.next = add i64 %l, 1
  %l.more = icmp slt i64 %l.next, %count
  br i1 %l.more, label %loss, label %slope
slope:
  %s = phi i64 [0, %loss], [%s.next, %slope]
  %odd = phi double [%sum.next, %loss], [%odd.next, %slope]
  %s.at = getelementptr double, ptr %g, i64 %s
  %s.value = load double, ptr %s.at
  %s.odd = fsub double %s.value, %s.value
  %odd.next = fadd reassoc double %odd, %s.odd
  %s.next = add i64 %s, 1
  %s.more = icmp slt i64 %s.next, {count}
  br i1 %s.more, label %slope, label %checked
checked:
  %finite = fcmp oeq double %odd.next, 0.0
  br i1 %finite, label %update, label %end
update:
  %j = phi i64 [0, %checked], [%j.next, %update]
  %p.at = getelementptr double, ptr %p, i64 %j
  %g.at = getelementptr double, ptr %g, i64 %j
  %b.at = getelementptr double, ptr %momenta, i64 %j
  %r.at = getelementptr double, ptr %rates, i64 %j
  %p.value = load double, ptr %p.at
  %g.value = load double, ptr %g.at
  %b.value = load double, ptr %b.at
  %r.value = load double, ptr %r.at
  %shrunk = fmul double %decay, %p.value
  %total = fadd double %g.value, %shrunk
  %kept = fmul double %momentum, %b.value
  %b.new = fadd double %kept, %total
  store double %b.new, ptr %b.at
  %change = fmul double %r.value, %b.new
  %p.new = fsub double %p.value, %change
  store double %p.new, ptr %p.at
  %j.next = add i64 %j, 1
  %j.more = icmp slt i64 %j.next, {count}
  br i1 %j.more, label %update, label %updated
updated:
  %done.next = add i64 %done, 1
  %more = icmp slt i64 %to, %n
  br i1 %more, label %batch, label %end
end:
  %result = phi i64 [%done, %checked], [%done.next, %updated]
  store ptr %out, ptr %out.to
  ret i64 %result
}}"""


# Gradient descent on the first argument: out = f(x), x = x - rate ∂f/∂x, over and over.
DESCEND = """define void @descend(ptr %table, i64 %n, double %scale, double %rate, i64 %steps) {{
start:
  %x.at = getelementptr ptr, ptr %table, i64 {x}
  %x = load ptr, ptr %x.at
  %g.at = getelementptr ptr, ptr %table, i64 {gradient}
  %g = load ptr, ptr %g.at
  %out.at = getelementptr ptr, ptr %table, i64 {out}
  %out = load ptr, ptr %out.at
  br label %step
step:
  %i = phi i64 [0, %start], [%i.next, %stepped]
  store double 0.0, ptr %out
  call void @run(ptr %table, i64 %n, double %scale)
  br label %number
number:
  %j = phi i64 [0, %step], [%j.next, %number]
  %xj.at = getelementptr double, ptr %x, i64 %j
  %gj.at = getelementptr double, ptr %g, i64 %j
  %xj = load double, ptr %xj.at
  %gj = load double, ptr %gj.at
  %change = fmul double %rate, %gj
  %new = fsub double %xj, %change
  store double %new, ptr %xj.at
  %j.next = add i64 %j, 1
  %j.more = icmp slt i64 %j.next, {count}
  br i1 %j.more, label %number, label %stepped
stepped:
  %i.next = add i64 %i, 1
  %i.more = icmp slt i64 %i.next, %steps
  br i1 %i.more, label %step, label %done
done:
  ret void
}}"""


class Sample:
    """What a model and a loss compute of one sample, traced: its outputs, and the loss.

    Raises TraceError, TypeError or ValueError if that cannot be compiled, as when the model asks for a number, or uses
    random ones.
    """

    def __init__(self, model: Callable[..., Any], loss: Callable[..., Any], pair: tuple[Any, Any]):
        def sample(x: Any, target: Any) -> list[Any]:
            outputs = model(x)
            numbers, self._outputs = flatten(outputs, "what the model returned")
            return [*numbers, loss(outputs, target)]

        self._model, self._loss = model, loss
        self.sizes = [len(flatten(x, "a sample")[0]) for x in pair]
        self.program, again = (self._traced(sample, pair) for _ in range(2))
        if not self.program.is_like(again):
            raise ValueError("the model or the loss is another one each time it is called (random numbers?)")
        self._evaluating: Evaluation | None = None  # of the samples that `outputs` was last asked for

    def _traced(self, sample: Callable[..., Any], pair: tuple[Any, Any]) -> Program:
        trace = Trace()
        return Program(trace, traced(trace, sample, pair), [PARAMETER])

    def outputs(self, pairs: Sequence[Any]) -> tuple[list[Any], list[float]]:
        """What the model gives for samples with the parameters it has now, and the losses. Not defined is nan."""
        if self._evaluating is None or self._evaluating.pairs is not pairs:
            self._evaluating = Evaluation(self, pairs)
        return self.results(self._evaluating.run().tolist())

    def sources(self, pairs: Sequence[Any]) -> list[Any]:
        """The inputs of all samples in a row, and the targets."""
        found = [array("d", _numbers(column)) for column in zip(*pairs, strict=True)]
        if [len(numbers) for numbers in found] != [size * len(pairs) for size in self.sizes]:
            raise ValueError("the samples have another shape than the one that was compiled")
        return found

    def check(self, pairs: Sequence[Any], outputs: list[Any], losses: list[float]) -> None:
        """Raise ValueError if what `outputs` gave for these samples is not what Python gives.

        Python may decide in ways that no tracing sees, by `is`, or by a target; or refuse some targets.
        """
        seldom = -(-len(pairs) // 8)
        for i, (out, mine, (x, target)) in enumerate(zip(outputs, losses, pairs, strict=True)):
            numbers, rebuild = flatten(out, "the outputs")
            known: Any = rebuild([constant(v) for v in map(float, numbers)])
            wanted = [float(self._loss(known, target))]
            if i % seldom == 0:
                wanted += [float(v) for v in flatten(self._model(x), "the outputs")[0]]
            for a, b in zip([mine, *numbers], wanted, strict=False):
                if not abs(a - b) <= 1e-6 * (1.0 + abs(b)) and isfinite(b):
                    raise ValueError(
                        f"of row {i} the code computes {a:.6g}, and Python {b:.6g}: the model or the loss decides by a "
                        "number that is not known when it is compiled"
                    )

    def results(self, outs: list[float]) -> tuple[list[Any], list[float]]:
        """Outputs and losses, from all numbers in a row."""
        width = self.program.outs
        if width == 2:
            return [self._outputs([x]) for x in outs[::2]], outs[1::2]
        rows = range(0, len(outs), width)
        return [self._outputs(outs[i : i + width - 1]) for i in rows], outs[width - 1 :: width]


def _numbers(column: Sequence[Any]) -> list[float]:
    """All numbers of these inputs or targets in a row. Raises ValueError if they differ in shape."""
    first = column[0]
    if all(type(x) is list and len(x) == len(first) for x in column):
        numbers = list(chain.from_iterable(column))
        if set(map(type, numbers)) <= {float, int}:  # what most samples are, and is read at once
            return numbers
    if any(shape(x) != shape(first) for x in column):
        raise ValueError("samples differ in the shapes of their inputs or targets")
    return [float(x) for item in column for x in flatten(item, "a sample")[0]]


class Evaluation:
    """What a model gives for these samples, and the losses, compiled.

    like: another evaluation of the same sample, whose code it shares.
    """

    def __init__(self, sample: Sample, pairs: Sequence[Any], like: "Evaluation | None" = None):
        self._sample, self._parameters = sample, sample.program.parameters
        self._kernel: Kernel = (
            like._kernel
            if like
            else Kernel(sample.program, sample.sizes, (0, 1), [], lanes=lanes_for(len(pairs)), strict=False, each=True)
        )
        self.take(pairs)

    def take(self, pairs: Sequence[Any]) -> None:
        """Evaluate these samples from here on, with the same code. Raises ValueError if their shape is another."""
        self._sources, self.pairs = self._sample.sources(pairs), pairs
        self._outs = self._sample.program.outs * len(pairs)

    def run(self) -> "array[float]":
        """With the parameters it has now, for each sample: all outputs, then the loss. What is not defined is nan."""
        kernel, workspace = self._kernel, self._kernel.workspace()
        parameters = array("d", [p._data for p in self._parameters])
        outs = array("d", bytes(8 * self._outs))
        for i, source in enumerate(self._sources):
            workspace.table[kernel.slot("raw", ARGUMENT + i)] = _address(source)
        workspace.table[kernel.slot("x", PARAMETER)] = _address(parameters)
        workspace.table[kernel.slot("out")] = _address(outs)
        kernel.run(workspace.address, len(self.pairs), 1.0)
        kernel.release(workspace)
        return outs


class Epochs:
    """The training of a model by SGD, compiled.

    sample: the model and the loss. pairs: the samples (x, target). size: of a batch.

    Raises TypeError or ValueError if the optimizer cannot be compiled, ImportError without the extra [jit].
    """

    def __init__(self, sample: Sample, pairs: Sequence[Any], optimizer: SGD, size: int):
        if type(optimizer) is not SGD:
            raise TypeError(f"an optimizer other than SGD itself, as {type(optimizer).__name__}, is not compiled")
        if not set(optimizer.params) <= set(sample.program.parameters):
            raise ValueError("the optimizer has parameters that the model does not use")
        self.sample, self.program, self.size, self._optimizer = sample, sample.program, size, optimizer
        self._sizes = sample.sizes
        self._compile()
        self.take(pairs)

    def take(self, pairs: Sequence[Any]) -> None:
        """Train on these samples from here on, with the same code. Raises ValueError if their shape is another."""
        self._sources = self.sample.sources(pairs)
        self._sources_table = (ctypes.c_void_p * 2)(*map(_address, self._sources))

    def _compile(self) -> None:
        program = self.program
        self._kernel = kernel = Kernel(
            program,
            self._sizes,
            (0, 1),
            [PARAMETER],
            lanes=lanes_for(self.size),
            strict=False,
            each=True,
            more=self._epoch,
        )
        self.terms = kernel.terms
        place = {p: i for i, p in enumerate(program.parameters)}
        self._places = [place[p] for p in self._optimizer.params]
        self._run = kernel.function(
            "epoch", ctypes.c_int64, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, *[ctypes.c_void_p] * 3,
            *[ctypes.c_double] * 2,
        )  # fmt: skip
        scratch = [array("d", bytes(8 * self.size * count)) for count in self._sizes]
        count = len(program.parameters)
        self._parameters, self._gradient, self._momenta, self._rates = (array("d", bytes(8 * count)) for _ in range(4))
        self._outs = array("d")
        self._workspace = kernel.workspace()
        table = self._workspace.table
        for i, room in enumerate(scratch):
            table[kernel.slot("raw", ARGUMENT + i)] = _address(room)
        table[kernel.slot("x", PARAMETER)] = _address(self._parameters)
        table[kernel.slot("gradient", PARAMETER)] = _address(self._gradient)
        self._kept = scratch

    def _epoch(self, kernel: Kernel) -> str:
        return EPOCH.format(
            inputs=kernel.slot("raw", ARGUMENT),
            targets=kernel.slot("raw", ARGUMENT + 1),
            parameters=kernel.slot("x", PARAMETER),
            gradient=kernel.slot("gradient", PARAMETER),
            out=kernel.slot("out"),
            inputs_bytes=8 * self._sizes[0],
            targets_bytes=8 * self._sizes[1],
            outs_bytes=8 * kernel.outs,
            loss_byte=8 * (kernel.outs - 1),
            count=len(self.program.parameters),
        )

    def run(self, order: Sequence[int]) -> tuple[list[Any], list[float]]:
        """Go through the samples in this order, with the settings that the optimizer has now.

        Returns what the model gave for each, and the losses, each before the update of its batch. Raises ValueError
        if a loss or a gradient is not finite.
        """
        return self.sample.results(self.numbers(order).tolist())

    def numbers(self, order: Sequence[int]) -> "array[float]":
        """The same as `run`, as numbers in a row: for each sample all outputs, then the loss.

        The order may go through the samples any number of times; batches are cut from it as it is.
        """
        optimizer, parameters = self._optimizer, self.program.parameters
        self._parameters[:] = array("d", [p._data for p in parameters])
        for place, buffer in zip(self._places, optimizer._buffers, strict=True):
            self._momenta[place] = buffer
            self._rates[place] = optimizer.lr
        which = array("q", order)
        n = len(which)
        if len(self._outs) < n * self.program.outs:
            self._outs = array("d", bytes(8 * n * self.program.outs))
            self._workspace.table[self._kernel.slot("out")] = _address(self._outs)
        done = self._run(
            self._workspace.address, _address(which), n, self.size, ctypes.addressof(self._sources_table),
            _address(self._rates), _address(self._momenta), optimizer.momentum, optimizer.weight_decay,
        )  # fmt: skip
        for p, data, slope in zip(parameters, self._parameters, self._gradient, strict=True):
            p._data, p._grad = data, slope
        optimizer._buffers = [self._momenta[place] for place in self._places]
        outs = self._outs[: n * self.program.outs]
        if done < -(-n // self.size):
            width = self.program.outs
            total = sum(outs[width - 1 : (done + 1) * self.size * width : width])
            if not isfinite(total):
                raise ValueError(f"the training loss became {total}")
            p = next(p for p in parameters if not isfinite(p._grad))
            raise ValueError(f"the gradient of {p.name or 'a parameter'} is {p._grad}; nothing was updated")
        return outs


def _address(numbers: Any) -> int:
    return numbers.buffer_info()[0]  # type: ignore[no-any-return]
