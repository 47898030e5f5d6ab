"""How hard Hypothesis tries: the same few examples on every run, or with ``--hypothesis-profile=explore`` many new ones."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "stable",
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("stable")
