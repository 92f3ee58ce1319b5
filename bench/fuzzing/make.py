"""Makes the case of a seed and a number: data, estimator and one to five calls that go together, mostly."""

from . import data, parameters
from .case import Call, Case
from .draw import Draw

ROWS = {1: 1, 2: 2, 3: 2, 5: 3, 12: 6, 30: 20, 61: 10, 150: 4, 300: 2}
COLUMNS = {1: 3, 2: 4, 3: 6, 5: 10, 8: 6, 17: 3, 40: 2}
MODES = {"any": 62, "bad parameter": 14, "edge parameter": 14, "other value later": 10}
# How often each call comes: questions, the first call, the following ones.
QUESTIONS = {
    "predict": 6,
    "predict_proba": 4,
    "predict_log_proba": 3,
    "decision_function": 3,
    "predict_interval": 2,
    "transform": 3,
    "activations": 2,
}
FIRST = {
    "fit": 70,
    "partial_fit": 14,
    "callbacks": 5,
    "range": 4,
    "resume": 3,
    "question": 2,
    "score": 1,
    "pickle": 1,
}
FOLLOWING = {
    "question": 22,
    "fit": 10,
    "partial_fit": 8,
    "loss_and_gradients": 5,
    "score": 5,
    "pickle": 5,
    "set_params": 6,
    "callbacks": 5,
    "clone": 3,
    "range": 3,
    "deepcopy": 2,
    "resume": 2,
    "assign": 2,
    "repr": 1,
    "names": 1,
}
SOME = {"": 80, "[:1]": 8, "[:7]": 6, "[-2:]": 3, "[:0]": 3}  # of the rows that a question is asked for
BAD_INIT = ["'x'", "[]", "[np.ones((1, 1))]", "[None]", "3", "[np.full((9, 9), np.nan)]", "[['a']]", "{}"]
CALLBACKS = [
    "",
    "TimeLimit(0)",
    "TimeLimit(np.float32(1000))",
    "StopWhen(attrgetter('number'))",
    "StopWhen(attrgetter('score'))",
    "StopWhen(lambda epoch: epoch.estimator.n_iter_ > 1)",
    "Checkpoint(folder + '/run.ckpt')",
    "Checkpoint(folder, every=np.int8(2), resume=True)",
    "TimeLimit(1000), Checkpoint(folder + '/other.ckpt', seconds=10 ** 6)",
    "Checkpoint(folder + '/none/run.ckpt')",
]


def make_case(seed: int, number: int) -> Case:
    """The same case for the same seed and number, everywhere."""
    return _Maker(seed, number).make()


class _Maker:
    def __init__(self, seed: int, number: int) -> None:
        self.draw = draw = Draw(seed, number)
        self.case = Case(seed, number)
        self.mode = draw.weighted(MODES)
        self.tame = self.mode != "any"
        self.estimator = draw.pick(["BPClassifier", "BPRegressor"])
        self.d = draw.weighted(COLUMNS)
        self.n = {"X": draw.weighted(ROWS)}
        self.values: dict[str, str] = {}
        self.bad: set[str] = set()
        self.odd: set[str] = set()
        self.was_fitted = False
        self.streams = False

    def make(self) -> Case:
        draw = self.draw
        if self.tame:
            self.n["X"] = max(self.n["X"], 30)
        self.values = parameters.good_parameters(draw, self.estimator)
        if self.mode == "bad parameter":
            keep = ("hidden_layer_sizes", "max_iter", "random_state")
            self.values = {name: self.values[name] for name in keep}
        if self.tame and self.mode != "other value later":
            self._other_value(self.mode.partition(" ")[0])
        loss = self.values.get("loss", "").strip("'")
        self.style = data.target_style(draw, self.estimator, loss, self.tame)
        self._data("X", self.d)
        given = ", ".join(f"{name}={text}" for name, text in self.values.items())
        self.case.model = f"model = {self.estimator}({given})"
        self._call(draw.weighted(FIRST) if not self.tame or self.mode == "other value later" else "fit")
        for _ in range(draw.randrange(5)):
            self._call(draw.weighted(FOLLOWING))
        return self.case

    def _other_value(self, kind: str) -> str:
        """Give a parameter a bad value or one at the edge; return its text."""
        name, text = parameters.other_value(self.draw, self.estimator, kind)
        if not self.case.model and self.draw.chance(0.7):
            self.values |= parameters.NEEDS.get(name, {})
        self.values[name] = text
        self.bad = self.bad - {name} | ({name} if kind == "bad" else set())
        self.odd = self.odd - {name} | ({name} if kind != "good" else set())
        return f"{name}={text}"

    def _data(self, name: str, d: int) -> None:
        draw, n, end = self.draw, self.n[name], name[1:]
        self.case.data += data.rows(draw, name, n, d, self.tame)
        self.case.data += data.targets(draw, "y" + end, n, self.style)
        if draw.chance(0.35):
            self.case.data += data.weights(draw, "w" + end, n, self.tame)
        else:
            self.case.data.append(f"w{end} = None")

    def _name(self) -> str:
        """Mostly the first data, sometimes others: of as many columns, or of another kind."""
        name = self.draw.weighted({"X": 70, "X2": 20, "X3": 3 if self.tame else 10})
        if name not in self.n:
            self.n[name] = self.draw.weighted(ROWS)
            style, d = self.style, self.d
            if name == "X3":
                d = self.draw.weighted(COLUMNS)
                self.style = data.target_style(self.draw, self.estimator, "", self.tame)
            self._data(name, d)
            self.style = style
        return name

    def _add(self, kind: str, code: str, name: str | None = None, part: str = "") -> None:
        others = (None, None) if name is None else ("y" + name[1:], "w" + name[1:])
        # Good values may be refused together: only where no others are given must a message name the bad one.
        odd = self.odd if self.mode == "bad parameter" else self.odd | set(self.values)
        self.case.calls.append(Call(kind, code, name, *others, frozenset(self.bad), frozenset(odd), part))

    def _call(self, kind: str) -> None:
        getattr(self, f"_call_{kind}")()

    def _call_fit(self) -> None:
        draw, name = self.draw, self._name()
        end = name[1:]
        arguments = [name, f"y{end}"]
        if f"w{end} = None" not in self.case.data:
            arguments.append(f"w{end}")
        if self.values.get("early_stopping") in ("True", "np.True_") and draw.chance(0.5):
            other = self._name()
            arguments.append(f"X_val={other}, y_val=y{other[1:]}, sample_weight_val=w{other[1:]}")
        if draw.chance(0.08):
            init = [draw.pick(BAD_INIT), "[0.5 * coef for coef in model.coefs_]", "model.coefs_"]
            arguments.append(f"coefs_init={init[0] if not self.was_fitted else draw.pick(init)}")
            if self.was_fitted and draw.chance(0.5):
                arguments.append("intercepts_init=model.intercepts_")
        self.was_fitted = True
        self._add("fit", f"model.fit({', '.join(arguments)})", name)

    def _call_partial_fit(self) -> None:
        draw, name = self.draw, self._name()
        end = name[1:]
        arguments = [name, f"y{end}"]
        if f"w{end} = None" not in self.case.data:
            arguments.append(f"w{end}")
        if self.estimator == "BPClassifier" and not (self.streams and draw.chance(0.7)):
            known = {f"np.unique(y{end})": 8, "np.unique(y)": 3, f"list(np.unique(y{end}))": 1, "None": 0.5,
                     "[0, 1, 2, 3]": 1, "[]": 0.2, "'x'": 0.2, "[0, 0]": 0.2, "[[0, 1]]": 0.2,
                     "[np.nan, 1.0]": 0.2}  # fmt: skip
            if self.tame:
                known = {f"np.unique(y{end})": 1}
            if self.style.text in data.MULTILABEL:
                known = {f"np.arange({self.style.k})": 8, "[0, 1]": 1}
            arguments.append(f"classes={draw.weighted(known)}")
        self.was_fitted = self.streams = True
        self._add("partial_fit", f"model.partial_fit({', '.join(arguments)})", name)

    def _call_question(self) -> None:
        draw = self.draw
        kind, name = draw.weighted(QUESTIONS), self._name()
        receiver = "model"
        if kind == "transform" and draw.chance(0.3):
            receiver = "model.set_output(transform='pandas')"
        part = draw.weighted(SOME)
        self._add(kind, f"answer = {receiver}.{kind}({name}{part})", name, part)

    def _call_loss_and_gradients(self) -> None:
        self._with_weights("loss_and_gradients")

    def _call_score(self) -> None:
        self._with_weights("score")

    def _with_weights(self, kind: str) -> None:
        name = self._name()
        end = name[1:]
        self._add(kind, f"answer = model.{kind}({name}, y{end}, w{end})", name)

    def _call_clone(self) -> None:
        self._add("clone", "model = clone(model)")

    def _call_pickle(self) -> None:
        self._add("pickle", "model = pickle.loads(pickle.dumps(model))")

    def _call_deepcopy(self) -> None:
        self._add("deepcopy", "model = copy.deepcopy(model)")

    def _call_set_params(self) -> None:
        draw = self.draw
        kind = draw.weighted({"good": 6, "edge": 2, "bad": 2} if self.mode != "any" else {"good": 1})
        given = self._other_value(kind)
        self._add("set_params", f"model.set_params({given})")
        if draw.chance(0.5):
            self._call_fit()

    def _call_callbacks(self) -> None:
        draw = self.draw
        self._add("callbacks", f"model.set_callbacks({draw.pick(CALLBACKS)})")
        if draw.chance(0.8):
            self._call_fit()

    def _call_resume(self) -> None:
        name = self._name()
        data_ = f"{name}, y{name[1:]}, w{name[1:]}"
        file = f"resumed{len(self.case.calls)}.ckpt"  # its own: a random state has moved on since another
        keep = f"Checkpoint(folder + '/{file}', resume=True)"
        self._add(
            "resume",
            "model = clone(model).set_callbacks(); "
            f"whole = clone(model).fit({data_}); "
            f"clone(model).set_callbacks({keep}, StopWhen(attrgetter('number'))).fit({data_}); "
            f"model.set_callbacks({keep}).fit({data_})",
            name,
        )

    def _call_range(self) -> None:
        name = self._name()
        end = name[1:]
        steps = self.draw.pick(["10", "25", "np.int8(12)"])
        weight = f", sample_weight=w{end}"
        self._add(
            "range", f"answer = learning_rate_range(model, {name}, y{end}, n_steps={steps}{weight})", name
        )

    def _call_assign(self) -> None:
        self._add("assign", "model.coefs_ = [0.5 * coef for coef in model.coefs_]")

    def _call_repr(self) -> None:
        self._add("repr", "answer = repr(model)")

    def _call_names(self) -> None:
        self._add("names", "answer = model.get_feature_names_out()")
