"""The paper's experiments, run on torch networks: ``blackbox-boundary reproduce mnist|cifar100``."""
