"""The paper's experiments on torch networks: ``blackbox-boundary reproduce mnist|cifar100``."""
