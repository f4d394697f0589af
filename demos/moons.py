"""micrograd's demo: a 2-16-16-1 network of 337 parameters learns two moons, with the hinge loss and SGD."""

import random

from micrograd_like import data, losses, nn, optim, train
from micrograd_like.show.plane import print_boundary

X, y = data.moons(100, noise=0.1, seed=1)
labels = [2 * label - 1 for label in y]  # the hinge loss takes -1 and +1

model = nn.MLP(2, [16, 16, 1], rng=random.Random(1337))
print(model)
sgd = optim.SGD(model.parameters(), lr=1.0, weight_decay=2e-4)
train.fit(model, X, labels, losses.hinge, optimizer=sgd, epochs=100, schedule=optim.linear(1.0, 0.1, 100))

loss, accuracy = train.evaluate(model, X, labels, losses.hinge)
print(f"loss {loss:.4f}, accuracy {accuracy:.0%}")

# The plane as the network sees it, and the points on it.
print_boundary(model, X, labels)
