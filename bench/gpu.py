"""fastbp on a GPU beside its CPU engine, PyTorch and JAX; first of all, whether the answers are right.

    python bench/gpu.py                                  # checks, then the table
    python bench/gpu.py --workloads tab fmnist --json gpu.json
    python bench/gpu.py --workloads tab --fleets 1000 10000      # networks trained in one call
    python bench/gpu.py --only-checks

The checks: the tests of the CUDA engine on the GPU itself, then for each workload the same epochs by both
engines from the same weights. A mismatch is reported in place of times, and the exit code is 1.

Times are microseconds a step: the slope between fits of E and 3·E epochs, so that transfers and set-up
cancel out; the whole fit of E epochs, those included, stands beside for fastbp. Each peer has a process of
its own. All compute in true float32, without TF32. The limits: a step's matrix products at the rate at
which PyTorch multiplies 8192 × 8192 matrices here, and its least traffic at the rate at which it copies 1
GiB; "–" without PyTorch. A second table has the seconds of many small networks in one call, see
``gpu_fleet.py``.
"""

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from checks import checked_epochs, mismatches
from gpu_fleet import FLEET_PEERS, faults_of_fleets, measure_fleet
from report import machine, number, table
from workloads import WORKLOADS, Workload

ROOT = Path(__file__).parent.parent
LARGE = {
    w.name: w
    for w in [
        Workload("large", 1_000_000, 64, (512, 512), 10, "classes", "relu", 8192, 1, "adam"),
        Workload("images", 100_000, 784, (2048, 2048), 10, "classes", "relu", 1024, 1, "adam"),
    ]
}
ALL = WORKLOADS | LARGE
PEERS = {
    "fastbp-cuda": "fastbp, GPU",
    "fastbp-cpu": "fastbp, CPU",
    "torch": "PyTorch eager",
    "torch-graphs": "PyTorch graphs",
    "jax": "JAX scan",
}
PACKAGES = {
    "fastbp-cuda": "numba_cuda",
    "fastbp-cpu": "numba",
    "torch": "torch",
    "torch-graphs": "torch",
    "jax": "jax",
}
N_STATES = {"adam": 2, "sgd": 1}


def main() -> int:
    args = parse_arguments()
    if args.worker:
        return work(*args.worker)
    from fastbp.engines.cuda.target import missing

    lacking = missing()
    if lacking is not None:
        sys.exit(f"Nothing to measure: {lacking}.")
    results = {"machine": machine() | {"gpu": gpu_name()}, "workloads": []}
    print(f"{results['machine']['gpu']}; {results['machine']['cpu']}", flush=True)
    failed = not args.skip_tests and not run_tests()
    results["limits"] = limits = ask("limits", "-", "float32", "-") or {}
    rows = []
    for workload in [] if args.only_checks and failed else [ALL[name] for name in args.workloads]:
        result = {"name": workload.name, "faults": {}, "peers": {}}
        results["workloads"].append(result)
        for dtype in ("float64", "float32"):
            answers = {p: ask(p, workload.name, dtype, "answer") for p in ("fastbp-cpu", "fastbp-cuda")}
            faults = mismatches(workload, dtype, {p: a for p, a in answers.items() if a})
            faults |= {p: ["did not run"] for p, a in answers.items() if not a}
            if faults:
                result["faults"][dtype] = faults
                print(f"FAILED: {workload.name} {dtype}: {faults}", flush=True)
        if result["faults"]:
            failed = True
            continue
        print(f"{workload.name}: both engines agree", flush=True)
        if not args.only_checks:
            for peer in args.peers:
                found = ask(peer, workload.name, args.dtype, "time", args.rounds)
                if found:
                    result["peers"][peer] = found
            rows.append(row(workload, result["peers"], limits, args))
    if rows:
        header = [
            f"{args.dtype}: µs a step",
            *(PEERS[p] for p in args.peers),
            "arithmetic",
            "bytes",
            "fit, ms",
        ]
        print("\n" + table(header, rows, False))
    if not args.only_checks:
        results["fleets"], faults = measure_fleets(args)
        failed = failed or bool(faults)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    return int(failed)


def measure_fleets(args) -> tuple[dict, list[str]]:
    """Print the table of many networks in one call; return what was measured and what is wrong."""
    peers = [peer for peer in FLEET_PEERS if peer in args.peers]
    measured, rows, faults = {}, [], []
    for n in args.fleets:
        found = {peer: ask(peer, str(n), args.dtype, "fleet", args.rounds) for peer in peers}
        measured[n] = found = {peer: one for peer, one in found.items() if one}
        wrong = faults_of_fleets(found)
        if wrong:
            print(f"FAILED: {n} networks: {wrong}", flush=True)
            faults += wrong
            continue
        rows.append([str(n), *(number(found[p]["seconds"] if p in found else None) for p in peers)])
    if rows:
        titles = [{"jax": "JAX vmap"}.get(peer, PEERS[peer]) for peer in peers]
        print("\n" + table([f"{args.dtype}: networks, s", *titles], rows, False))
    return measured, faults


def row(workload, found, limits, args):
    """One line of the table: steps, then the two limits, then our whole fit."""
    cells = [workload.name]
    for peer in args.peers:
        cells.append(number(found[peer]["step"] * 1e6 if peer in found else None))
    operations = workload.operations / workload.steps
    cells.append(number(1e6 * operations / limits["flops"] if "flops" in limits else None))
    cells.append(
        number(1e6 * least_bytes(workload, args.dtype) / limits["bytes"] if "bytes" in limits else None)
    )
    ours = found.get("fastbp-cuda")
    cells.append(number(ours["fit"] * 1e3 if ours else None))
    return cells


def least_bytes(workload, dtype) -> int:
    """What a step must read and write: weights three times, moments twice, the batch, each activation."""
    weights = sum((p + 1) * q for p, q in workload.layer_shapes)
    activations = workload.batch * (2 * workload.inputs + 4 * sum(q for _, q in workload.layer_shapes))
    return np.dtype(dtype).itemsize * (weights * (4 + 2 * N_STATES[workload.solver]) + activations)


def gpu_name() -> str:
    from fastbp.engines.cuda.target import cuda

    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def run_tests() -> bool:
    """The tests of the engine, on the GPU in place of the simulator."""
    files = [ROOT / "tests" / f"test_cuda_{what}.py" for what in ("kernels", "fits", "fleet")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "FASTBP_TEST_GPU": "1"}, check=False)
    return done.returncode == 0


def ask(peer, workload, dtype, what, rounds=3):
    """Run one peer in a process of its own; None where it is not installed or fails, which is printed."""
    with tempfile.NamedTemporaryFile(suffix=".pickle", delete=False) as file:
        path = Path(file.name)
    command = [sys.executable, __file__, "--worker", peer, workload, dtype, what, str(rounds), str(path)]
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "NVIDIA_TF32_OVERRIDE": "0"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"{PEERS.get(peer, peer)}, {workload}: {last}", file=sys.stderr, flush=True)
            return None
        return pickle.loads(path.read_bytes())
    finally:
        path.unlink()


def work(peer, name, dtype, what, rounds, path) -> int:
    """In the peer's own process: write what was asked for to `path`."""
    warnings.filterwarnings("ignore")
    if peer == "limits":
        found = measure_limits()
    elif what == "fleet":
        found = measure_fleet(peer, int(name), dtype, int(rounds))
    else:
        workload = ALL[name]
        fit = make_peer(peer, workload, dtype)
        found = answer_of(fit, workload) if what == "answer" else time_of(fit, workload, int(rounds))
    Path(path).write_bytes(pickle.dumps(found))
    return 0


def answer_of(fit, workload):
    """Where some epochs without shuffling lead."""
    fit.fit(checked_epochs(workload), shuffle=False)
    coefs, intercepts = fit.weights()
    return {
        "coefs": coefs,
        "intercepts": intercepts,
        "predictions": fit.predict(fit.X[:256]),
        "objective": fit.loss if fit.loss_is_objective else None,
    }


def time_of(fit, workload, rounds):
    """Seconds of a fit, and of a step as the slope between a short and a long one."""
    short, long = workload.epochs, 3 * workload.epochs
    fit.warm_up(epochs=short)
    fit.warm_up(epochs=long)
    samples = [(fit.fit(short), fit.fit(long)) for _ in range(rounds)]
    steps = (long - short) * workload.steps
    return {
        "fit": statistics.median(s for s, _ in samples),
        "step": statistics.median((b - a) / steps for a, b in samples),
        "samples": samples,
    }


def make_peer(peer, workload, dtype):
    if peer.startswith("fastbp"):
        return fastbp_peer(peer.partition("-")[2])(workload, dtype, os.cpu_count())
    if peer == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
        from peers.jax_scan import Fit

        return Fit(workload, dtype, os.cpu_count())
    return torch_peer(graphs=peer == "torch-graphs")(workload, dtype, os.cpu_count())


def fastbp_peer(device):
    from peers.fastbp import Fit

    class OnDevice(Fit):
        def parameters(self):
            return super().parameters() | {"device": device, "n_jobs": None}

    return OnDevice


def torch_peer(graphs):
    """PyTorch on the GPU: whole arrays there, `index_select` of each batch; with graphs, a replay a step."""
    import torch
    from peers.pytorch import Fit, half_squared_error
    from torch.nn import functional as F

    class OnGPU(Fit):
        def __init__(self, workload, dtype, threads):
            super().__init__(workload, dtype, threads)
            self.inputs, self.targets = self.inputs.cuda(), self.targets.cuda()

        def _fit(self, epochs, shuffle):
            w = self.workload
            self.network = self._network().cuda()
            self.optimiser = self._optimiser(self.network)
            self.loss_function = half_squared_error if w.kind == "values" else F.cross_entropy
            full = w.rows // w.batch
            for group in self.optimiser.param_groups[:1]:
                group["weight_decay"] = w.alpha / w.batch
            step = self._captured() if graphs else self._step
            order = torch.arange(w.rows, device="cuda")
            for _ in range(epochs):
                if shuffle:
                    order = torch.randperm(w.rows, device="cuda")
                total = torch.zeros((), device="cuda", dtype=self.inputs.dtype)
                for batch in order[: full * w.batch].split(w.batch):
                    total += step(batch) * w.batch
                if w.rows % w.batch:
                    total += self._step(order[full * w.batch :]) * (w.rows % w.batch)
                self._loss = total.item() / w.rows

        def _optimiser(self, network):
            if not graphs or self.workload.solver != "adam":
                return super()._optimiser(network)
            linears = [m for m in network if isinstance(m, torch.nn.Linear)]
            groups = [{"params": [m.weight for m in linears]}, {"params": [m.bias for m in linears]}]
            return torch.optim.Adam(groups, lr=self.workload.learning_rate, fused=True, capturable=True)

        def _step(self, batch):
            outputs = self.network(self.inputs.index_select(0, batch))
            loss = self.loss_function(outputs, self.targets.index_select(0, batch))
            self.optimiser.zero_grad(set_to_none=not graphs)
            loss.backward()
            self.optimiser.step()
            return loss.detach()

        def _captured(self):
            """The step as a CUDA graph; capturing it makes steps, so weights and moments are put back."""
            rows = torch.arange(self.workload.batch, device="cuda")
            state = {k: v.clone() for k, v in self.network.state_dict().items()}
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self._step(rows)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                loss = self._step(rows)
            self.network.load_state_dict(state)
            for values in self.optimiser.state.values():
                for value in values.values():
                    if torch.is_tensor(value):
                        value.zero_()

            def replay(batch):
                rows.copy_(batch)
                graph.replay()
                return loss

            return replay

        def weights(self):
            self.network = self.network.cpu()
            return super().weights()

    return OnGPU


def measure_limits() -> dict:
    """Rates of a large product and of a large copy; empty without PyTorch."""
    import torch

    def best(call, n=10):
        seconds = []
        for _ in range(n):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            torch.cuda.synchronize()
            seconds.append(start.elapsed_time(end) / 1e3)
        return min(seconds)

    a = torch.randn(8192, 8192, device="cuda")
    source, target = (torch.empty(1 << 28, device="cuda") for _ in range(2))
    return {
        "flops": 2 * 8192**3 / best(lambda: a @ a),
        "bytes": 2 * source.nbytes / best(lambda: target.copy_(source)),
    }


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--workloads", nargs="+", choices=ALL, default=list(ALL), metavar="NAME", help=f"of {', '.join(ALL)}")
    add("--peers", nargs="+", choices=PEERS, help="all that are installed by default")
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--rounds", type=int, default=3)
    add("--fleets", nargs="*", type=int, default=[1000, 10000], metavar="N", help="networks in one call")
    add("--only-checks", action="store_true", help="no times")
    add("--skip-tests", action="store_true", help="not the tests of the engine, only the workloads")
    add("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    add("--worker", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peers is None:
        import importlib.util

        args.peers = [p for p in PEERS if importlib.util.find_spec(PACKAGES[p])]
    return args


if __name__ == "__main__":
    sys.exit(main())
