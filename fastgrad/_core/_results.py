"""The named tuples that functions return. Imports nothing of the core."""

from collections import namedtuple


def _result(name, fields):
    def show(self):
        parts = ",\n".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
        return f"fastgrad.return_types.{name}(\n{parts})"

    cls = namedtuple(name, fields, module=__name__)
    cls.__repr__ = show
    return cls


max = _result("max", ["values", "indices"])
min = _result("min", ["values", "indices"])
sort = _result("sort", ["values", "indices"])
topk = _result("topk", ["values", "indices"])
median = _result("median", ["values", "indices"])
nanmedian = _result("nanmedian", ["values", "indices"])
kthvalue = _result("kthvalue", ["values", "indices"])
mode = _result("mode", ["values", "indices"])
cummax = _result("cummax", ["values", "indices"])
cummin = _result("cummin", ["values", "indices"])
aminmax = _result("aminmax", ["min", "max"])
slogdet = _result("slogdet", ["sign", "logabsdet"])
eigh = _result("eigh", ["eigenvalues", "eigenvectors"])
svd = _result("svd", ["U", "S", "Vh"])
qr = _result("qr", ["Q", "R"])
lstsq = _result("lstsq", ["solution", "residuals", "rank", "singular_values"])
