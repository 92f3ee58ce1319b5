"""ONNX graphs written as formulas: tensors with Python's operators, which add nodes to a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbp.onnx.libraries import onnx

STRING = np.dtype(object)  # of a tensor of strings
BOOL, INT64 = np.dtype(bool), np.dtype(np.int64)
ML = "ai.onnx.ml"  # the domain of the operators for classical models
ML_OPSET = 2  # of LabelEncoder; skl2onnx refuses models with newer ones than 3


class Graph:
    """The nodes of one model that is converted.

    Parameters
    ----------
    scope, container
        As skl2onnx passes them to a converter.
    """

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container
        self._constants: dict[tuple, Tensor] = {}
        self._nodes: dict[tuple, Tensor] = {}
        self.opset: int = container.target_opset_any_domain("")

    def has(self, operator: str) -> bool:
        """Return whether the opset of the export has an operator."""
        try:
            self._since(operator, "")
        except onnx.defs.SchemaError:
            return False
        return True

    def _since(self, operator: str, domain: str) -> int:
        """The version of the opset in which the operator got its present form; SchemaError without one."""
        opset = ML_OPSET if domain == ML else self.opset
        return int(onnx.defs.get_schema(operator, opset, domain).since_version)

    def node(self, operator: str, *inputs: "Tensor", dtype: Any = None, domain: str = "", **attributes: Any):
        """Add a node of one output, of the dtype of its first input unless another is given.

        Equal nodes are one.
        """
        key = operator, tuple(tensor.name for tensor in inputs), domain, repr(attributes)
        if key not in self._nodes:
            name = self._scope.get_unique_variable_name(operator.lower())
            self._add(operator, inputs, name, domain, attributes)
            self._nodes[key] = Tensor(self, name, inputs[0].dtype if dtype is None else np.dtype(dtype))
        return self._nodes[key]

    def _add(self, operator, inputs, name, domain, attributes) -> None:
        self._container.add_node(
            operator,
            [tensor.name for tensor in inputs],
            [name],
            op_domain=domain,
            op_version=self._since(operator, domain),  # skl2onnx would read all schemas for it
            name=self._scope.get_unique_operator_name(operator),
            **attributes,
        )

    def constant(self, values: Any, dtype: Any) -> "Tensor":
        """A constant of any shape; equal ones are stored once."""
        array = np.ascontiguousarray(np.asarray(values, dtype=dtype)).reshape(np.shape(values))
        contents = tuple(array.ravel()) if array.dtype == STRING else array.tobytes()
        key = array.dtype.str, array.shape, contents
        if key not in self._constants:
            name = self._scope.get_unique_variable_name("constant")
            if array.dtype == STRING:
                texts = [text.encode("utf-8") for text in array.ravel()]
                self._container.add_initializer(name, onnx.TensorProto.STRING, list(array.shape), texts)
            else:
                proto = onnx.numpy_helper.from_array(array)
                self._container.add_initializer(name, proto.data_type, list(array.shape), proto)
            self._constants[key] = Tensor(self, name, array.dtype)
        return self._constants[key]

    def input(self, variable: Any) -> "Tensor":
        """The tensor of a variable of skl2onnx."""
        return Tensor(self, variable.full_name, dtype_of(variable.type))

    def concat(self, tensors: Sequence["Tensor"]) -> "Tensor":
        """Tensors side by side."""
        if len(tensors) == 1:
            return tensors[0]
        return self.node("Concat", *tensors, axis=1)

    def where(self, mask: "Tensor", a: Any, b: Any) -> "Tensor":
        """The elements of `a` where the mask holds, else those of `b`; numbers are of the dtype compared."""
        dtype = a.dtype if isinstance(a, Tensor) else b.dtype if isinstance(b, Tensor) else mask.compared
        a, b = (one if isinstance(one, Tensor) else self.constant(one, dtype) for one in (a, b))
        return self.node("Where", mask, a, b, dtype=dtype)

    def store(self, tensor: "Tensor", variable: Any) -> None:
        """Make a tensor the value of an output variable, cast to its type."""
        wanted = dtype_of(variable.type)
        if wanted == tensor.dtype:
            self._add("Identity", [tensor], variable.full_name, "", {})
        else:
            self._add("Cast", [tensor], variable.full_name, "", {"to": _proto_type(wanted)})


class Tensor:
    """A result of a node, an input or a constant, of shape (n_rows, n_columns) unless said otherwise.

    Attributes
    ----------
    graph : Graph
    name : str
    dtype : numpy.dtype
        `STRING` for strings.
    compared : numpy.dtype or None
        Of the numbers whose comparison this is.
    """

    __array_priority__ = 1000  # NumPy's arrays leave operations to tensors
    __array_ufunc__ = None

    def __init__(self, graph: Graph, name: str, dtype: np.dtype) -> None:
        self.graph, self.name, self.dtype = graph, name, dtype
        self.compared: np.dtype | None = None

    __hash__ = object.__hash__

    def constant(self, values: Any) -> "Tensor":
        """Numbers of this tensor's dtype."""
        return self.graph.constant(values, self.dtype)

    def _like(self, other: Any) -> "Tensor":
        if isinstance(other, Tensor):
            return other
        return self.constant(other)

    def _binary(self, operator: str, other: Any) -> "Tensor":
        return self.graph.node(operator, self, self._like(other))

    def _compare(self, operator: str, other: Any) -> "Tensor":
        mask = self.graph.node(operator, self, self._like(other), dtype=BOOL)
        mask.compared = self.dtype
        return mask

    def __add__(self, other):
        return self._binary("Add", other)

    def __sub__(self, other):
        return self._binary("Sub", other)

    def __mul__(self, other):
        return self._binary("Mul", other)

    def __truediv__(self, other):
        return self._binary("Div", other)

    def __radd__(self, other):
        return self._like(other) + self

    def __rsub__(self, other):
        return self._like(other) - self

    def __rmul__(self, other):
        return self._like(other) * self

    def __rtruediv__(self, other):
        return self._like(other) / self

    def __neg__(self):
        return self.graph.node("Neg", self)

    def __abs__(self):
        return self.graph.node("Abs", self)

    def __lt__(self, other):
        return self._compare("Less", other)

    def __gt__(self, other):
        return self._compare("Greater", other)

    def __le__(self, other):
        return self._compare("LessOrEqual", other)

    def __ge__(self, other):
        return self._compare("GreaterOrEqual", other)

    def __or__(self, other):
        return self._binary("Or", other)

    def __eq__(self, other):  # type: ignore[override]
        return self._compare("Equal", other)

    def unary(self, operator: str, **attributes: Any) -> "Tensor":
        """An operator of one input, such as "Exp"."""
        return self.graph.node(operator, self, **attributes)

    def matmul(self, matrix: np.ndarray) -> "Tensor":
        return self._binary("MatMul", matrix)

    def dense(self, weights: np.ndarray, bias: np.ndarray | None) -> "Tensor":
        if bias is None:
            return self.matmul(weights)
        constants = (self.constant(array) for array in (weights, bias))
        return self.graph.node("Gemm", self, *constants)

    def cast(self, dtype: Any) -> "Tensor":
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        return self.graph.node("Cast", self, dtype=dtype, to=_proto_type(dtype))

    def clip(self, low: float, high: float) -> "Tensor":
        return self.graph.node("Clip", self, self._like(low), self._like(high))

    def is_nan(self) -> "Tensor":
        return self.graph.node("IsNaN", self, dtype=BOOL)

    def columns(self, which: Sequence[int] | np.ndarray) -> "Tensor":
        """Some columns, in any order and number."""
        return self.graph.node("Gather", self, self.graph.constant(which, INT64), axis=1)

    def rows(self, which: "Tensor") -> "Tensor":
        """The rows with the numbers of a vector."""
        return self.graph.node("Gather", self, which, axis=0)

    def reshape(self, *shape: int) -> "Tensor":
        """Another shape; 0 keeps the size of the axis."""
        return self.graph.node("Reshape", self, self.graph.constant(shape, INT64))

    def argmax(self) -> "Tensor":
        """The number of the first of the largest columns, a vector."""
        return self.graph.node("ArgMax", self, dtype=INT64, axis=1, keepdims=0)

    def reduce(self, operator: str, axis: int = 1, keepdims: bool = True) -> "Tensor":
        """ReduceMax, ReduceMin, ReduceSum or ReduceMean over one axis."""
        since = 13 if operator == "ReduceSum" else 18  # where axes are an input
        if self.graph.opset < since:
            return self.unary(operator, axes=[axis], keepdims=int(keepdims))
        axes = self.graph.constant([axis], INT64)
        return self.graph.node(operator, self, axes, keepdims=int(keepdims))


def numbers_of(graph: Graph, operator: Any) -> Tensor:
    """All inputs side by side, of one dtype that has the digits of each."""
    tensors = [graph.input(variable) for variable in operator.inputs]
    if any(tensor.dtype.kind not in "fiub" for tensor in tensors):
        raise ValueError(
            f"{type(operator.raw_operator).__name__} takes numbers, but the ONNX model has inputs "
            f"{[(variable.raw_name, str(variable.type)) for variable in operator.inputs]}: put a "
            "transformer of the other columns before it."
        )
    dtype = np.result_type(np.float32, *(tensor.dtype for tensor in tensors))  # with int64 it is float64
    return graph.concat([tensor.cast(dtype) for tensor in tensors])


def n_rows_of(operator: Any) -> Any:
    return operator.inputs[0].get_first_dimension()


def dtype_of(variable_type: Any) -> np.dtype:
    """The dtype of a tensor type of skl2onnx."""
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(variable_type._get_element_onnx_type()))


def _proto_type(dtype: np.dtype) -> int:
    return int(onnx.helper.np_dtype_to_tensor_dtype(dtype))
