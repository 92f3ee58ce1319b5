"""PyTorch, eager: whole arrays as tensors, `index_select` of each batch, the fused optimisers, no DataLoader.

The penalty is the optimiser's `weight_decay`, which is cheaper than a term of the loss. The epochs'
losses are gathered, since the estimators report them too.
"""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F

from peers.base import Peer

ACTIVATIONS = {"logistic": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}


class Fit(Peer):
    def __init__(self, workload, dtype, threads):
        super().__init__(workload, dtype, threads)
        torch.set_num_threads(threads)
        self.initial = workload.initial_weights(self.dtype)
        self.inputs, self.targets = torch.from_numpy(self.X), torch.from_numpy(self.y)
        if workload.kind == "values":
            self.targets = self.targets[:, None]

    def _fit(self, epochs, shuffle):
        w = self.workload
        self.network = network = self._network()
        optimiser = self._optimiser(network)
        decayed = optimiser.param_groups[0]
        decayed["weight_decay"] = w.alpha / w.batch
        steps = itertools.count(1)
        short = w.rows % w.batch
        loss_function = half_squared_error if w.kind == "values" else F.cross_entropy
        inputs, targets = self.inputs, self.targets
        order = torch.arange(w.rows)
        for _ in range(epochs):
            if shuffle and not w.partial:
                order = torch.randperm(w.rows)
            losses = []
            for batch in order.split(w.batch):
                if short:
                    decayed["weight_decay"] = w.alpha / len(batch)
                loss = loss_function(network(inputs.index_select(0, batch)), targets.index_select(0, batch))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                if w.solver == "adam":
                    # PyTorch adds epsilon after the correction of the second moment, the others before
                    epsilon = 1e-8 / math.sqrt(1 - 0.999 ** next(steps))
                    for group in optimiser.param_groups:
                        group["eps"] = epsilon
                optimiser.step()
                losses.append(loss.detach())
            total = torch.stack(losses).sum() * w.batch
            if short:
                total -= losses[-1] * (w.batch - short)
            self._loss = (total / w.rows).item()

    def _network(self):
        layers = []
        for W, b in zip(*self.initial, strict=True):
            linear = nn.utils.skip_init(nn.Linear, *W.shape, dtype=self.inputs.dtype)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, ACTIVATIONS[self.workload.activation]()]
        return nn.Sequential(*layers[:-1])

    def _optimiser(self, network):
        w = self.workload
        linears = [m for m in network if isinstance(m, nn.Linear)]
        groups = [{"params": [m.weight for m in linears]}, {"params": [m.bias for m in linears]}]
        if w.solver == "adam":
            return torch.optim.Adam(groups, lr=w.learning_rate, fused=True)
        return torch.optim.SGD(
            groups, lr=w.learning_rate, momentum=w.momentum, nesterov=w.momentum > 0, fused=True
        )

    @property
    def loss(self):
        return self._loss

    def weights(self):
        linears = [m for m in self.network if isinstance(m, nn.Linear)]
        return (
            [m.weight.detach().numpy().T.copy() for m in linears],
            [m.bias.detach().numpy().copy() for m in linears],
        )

    @torch.inference_mode()
    def predict(self, X):
        outputs = self.network(torch.from_numpy(X))
        return (outputs[:, 0] if self.workload.kind == "values" else outputs.argmax(dim=1)).numpy()


def half_squared_error(outputs, targets):
    return 0.5 * F.mse_loss(outputs, targets)
