"""Real handwritten digits, from scalar code, in seconds: the 1,797 of scikit-learn, of 8 x 8 pixels.

    pip install -e '.[jit]' scikit-learn
    python demos/digits.py

The network is an ordinary `MLP` of Values, neuron by neuron. `fit` traces what it does with one sample, and runs whole
epochs of that as native code. A fifth of the digits, chosen by a seed, is never trained on.
"""

import random
import sys
import time

from micrograd_like import data, losses, nn, optim, train

try:
    from sklearn.datasets import load_digits
except ImportError:
    sys.exit("this demo needs the digits of scikit-learn: pip install scikit-learn")

digits = load_digits()
X, y, X_test, y_test = data.split((digits.data / 16.0).tolist(), digits.target.tolist(), 0.2, seed=0)
model = nn.MLP(64, [64, 10], activation="tanh", rng=random.Random(0), init=nn.xavier)

start = time.perf_counter()
epochs = 60
train.fit(
    model,
    X,
    y,
    losses.cross_entropy,
    optimizer=optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4),
    schedule=optim.cosine(0.1, 0.001, epochs),
    epochs=epochs,
    batch_size=32,
)
seconds = time.perf_counter() - start
_, accuracy = train.evaluate(model, X_test, y_test, losses.cross_entropy)
print(f"{len(model.parameters())} parameters, {epochs} epochs of {len(X)} digits in {seconds:.1f} s")
print(f"test accuracy {accuracy:.1%} on {len(X_test)} digits that were not trained on")
