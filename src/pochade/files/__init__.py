"""Bytes to named arrays and back, with numpy alone."""

from pochade.files.containers import open
from pochade.files.saving import save
from pochade.files.scan import Finding, Verdict, scan
from pochade.files.weights import Array, LazyArray, TensorInfo, Weights

__all__ = ["Array", "Finding", "LazyArray", "TensorInfo", "Verdict", "Weights", "open", "save", "scan"]
