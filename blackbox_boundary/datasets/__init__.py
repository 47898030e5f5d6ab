"""Readers of the usual files, the public data sets of the paper, and the embedded sample."""

from .cifar100_set import cifar100
from .data import Data
from .digits_set import digits, digits_model
from .homes import fetch
from .mnist_set import mnist
from .reading import check_source, read

__all__ = ["Data", "check_source", "cifar100", "digits", "digits_model", "fetch", "mnist", "read"]
