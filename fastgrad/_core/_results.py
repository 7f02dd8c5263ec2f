"""The named tuples that functions return. Imports nothing of the core."""

from collections import namedtuple


def _result(name, fields):
    def show(self):
        parts = ",\n".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
        return f"fastgrad.return_types.{name}(\n{parts})"

    cls = namedtuple(name, fields, module=__name__)
    cls.__repr__ = show
    return cls


_WITH_INDICES = ("max", "min", "sort", "topk", "median", "nanmedian", "kthvalue", "mode", "cummax", "cummin")
globals().update({name: _result(name, ["values", "indices"]) for name in _WITH_INDICES})
aminmax = _result("aminmax", ["min", "max"])
slogdet = _result("slogdet", ["sign", "logabsdet"])
eigh = _result("eigh", ["eigenvalues", "eigenvectors"])
svd = _result("svd", ["U", "S", "Vh"])
qr = _result("qr", ["Q", "R"])
lstsq = _result("lstsq", ["solution", "residuals", "rank", "singular_values"])
