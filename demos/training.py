"""Training to look at: a network learns three spirals while training.png shows its losses and its boundaries.

Open training.png in a viewer or an editor that follows changes; in a notebook, write live=True instead.
"""

import random

from micrograd_like import data, losses, nn, optim, train

X, y = data.spirals(120, noise=0.03, seed=0, classes=3, turns=0.7)
model = nn.MLP(2, [12, 12, 3], activation="tanh", rng=random.Random(0))
print(f"{model}: see training.png")

epochs = 100
history = train.fit(
    model,
    X,
    y,
    losses.cross_entropy,
    optimizer=optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    schedule=optim.cosine(0.1, 0.005, epochs),
    epochs=epochs,
    batch_size=10,
    validation=0.2,
    live="training.png",
)
_, accuracy = train.evaluate(model, X, y, losses.cross_entropy)
print(f"{history.stopped}, accuracy {accuracy:.0%}; training.png shows the last state")
