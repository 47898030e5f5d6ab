"""Predictors around predictors."""
