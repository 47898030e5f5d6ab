"""The paper's fifteen claims and two questions of ours, each judged by the numbers of a run.

A claim is judged case by case (victim, inputs, surrogate) by a rule that the table prints. The
verdicts in words, with reasons, are in the documentation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .exhibit import Exhibit, Row, shown

__all__ = ["claims_table"]

Tables = Mapping[str, Sequence[Row]]
"""Rows of each exhibit, by its slug."""


class _Case(NamedTuple):
    """One case of a claim: its name, whether the claim holds there, and the numbers."""

    name: str
    holds: bool
    numbers: str


class _Claim(NamedTuple):
    """A claim, the rule by which a case holds, what the paper says, and its cases in a run."""

    words: str
    rule: str
    paper: str
    cases: Callable[[Tables], Iterator[_Case]]


def claims_table(exhibits: Sequence[Exhibit]) -> Exhibit:
    """Each claim's verdict, our numbers and the paper's; "not measured" where a run lacks them."""
    tables: dict[str, Sequence[Row]] = {exhibit.slug: exhibit.rows for exhibit in exhibits}
    rows: list[Row] = []
    for number, claim in enumerate(_CLAIMS, start=1):
        cases = list(claim.cases(tables))
        rows.append({
            "claim": f"{number}. {claim.words}", "verdict": _verdict(cases),
            "here": "; ".join(f"{case.name}: {case.numbers}" for case in cases) or "–",
            "the paper": claim.paper, "holds where": claim.rule,
        })  # fmt: skip
    note = (
        "Each case is judged by the rule in the last column, by the numbers of this run alone. "
        "16 and 17 are questions of ours."
    )
    return Exhibit("claims", "The 17 claims", rows, note)


def _verdict(cases: Sequence[_Case]) -> str:
    n = sum(case.holds for case in cases)
    if not cases:
        return "not measured"
    if n in (0, len(cases)):
        return "holds" if n else "does not hold"
    return f"holds in {n} of {len(cases)} cases"


def _rows(tables: Tables, slug: str, **where: Any) -> list[dict[str, Any]]:
    """Rows of a table whose cells are these; a head with a space is given with an underscore."""
    wanted = {head.replace("_", " "): value for head, value in where.items()}
    return [
        dict(row)
        for row in tables.get(slug, ())
        if all(row.get(head) == value for head, value in wanted.items())
    ]


def _norms(tables: Tables) -> Iterator[_Case]:
    for row in _rows(tables, "norms", inputs="natural", norms="l1, linf"):
        name = str(row["victim"])
        yield _Case(f"{name}, order", row["Spearman"] >= 0.9, f"Spearman {row['Spearman']:.3f}")
        low, high = row["ratio 5 %"], row["ratio 95 %"]
        yield _Case(f"{name}, size", high <= 1.1 * low, f"L1 / L∞ {shown(low)} to {shown(high)}")


def _softer(tables: Tables) -> Iterator[_Case]:
    for row in _rows(tables, "figure1-fits", norm="l1"):
        yield _Case(row["victim"], row["95 % high"] < 0, f"Spearman {row['Spearman']:.3f}")


def _level(tables: Tables) -> Iterator[_Case]:
    for row in _rows(tables, "figure1-fits", norm="l1"):
        before, beyond = row["mean entropy before"], row["mean entropy beyond"]
        words = f"knee {shown(row['knee'])}, {shown(before)} nats before, {shown(beyond)} beyond"
        yield _Case(row["victim"], beyond < before / 4, words)


def _inverse(tables: Tables) -> Iterator[_Case]:
    for slug, rows in tables.items():
        if slug.startswith("figure1-") and slug != "figure1-fits" and len(rows) > 1:
            (_, near, high, *_), (_, far, low, *_) = (list(row.values()) for row in rows[:2])
            farther, softer = float(far) / float(near), float(high) / float(low)  # type: ignore[arg-type]
            words = f"{farther:.1f} times nearer, {softer:.2f} times the entropy"
            victim = slug.removeprefix("figure1-").replace("-", " ").capitalize()
            yield _Case(victim, softer > farther / 2, words)


def _votes(tables: Tables) -> Iterator[_Case]:
    for row in _rows(tables, "votes", uncertainty_by="votes"):
        at = {"victim": row["victim"], "inputs": row["inputs"]}
        (by,) = _rows(tables, "votes", uncertainty_by="distance", **at)
        head = "Spearman with entropy"
        words = f"votes {row[head]:.2f}, distance {by[head]:.2f}"
        yield _Case(f"{row['victim']}, {row['inputs']}", row[head] < by[head], words)


def _mode(tables: Tables) -> Iterator[_Case]:
    for row in _rows(tables, "distributions", inputs="natural", norm="l1"):
        share = row["share nearer than the mode"]
        words = f"mode {shown(row['mode'])}, {share:.0%} of the rows nearer"
        yield _Case(row["victim"], share >= 0.2, words)


def _piled(inputs: str) -> Callable[[Tables], Iterator[_Case]]:
    def cases(tables: Tables) -> Iterator[_Case]:
        for row in _rows(tables, "distributions", inputs=inputs, norm="l1"):
            share = row["share nearer than the mode"]
            words = f"{inputs}: mode {shown(row['mode'])}, {share:.0%} of the rows nearer"
            yield _Case(row["victim"], share < 0.1, words)

    return cases


def _geometry(tables: Tables) -> Iterator[_Case]:
    cases = [*_piled("uniform")(tables), *_piled("normal")(tables)]
    if cases:
        n = sum(case.holds for case in cases)
        words = f"{n} of {len(cases)} sets of random inputs pile up"
        yield _Case("all victims", n == len(cases), words)


def _against(
    set_name: str, other: str, rule: Callable[[float, float], bool]
) -> Callable[[Tables], Iterator[_Case]]:
    """Accuracy of surrogates trained on one sample set, against another set."""

    def cases(tables: Tables) -> Iterator[_Case]:
        both = [row for slug in ("tables-1-2", "tables-extra") for row in _rows(tables, slug)]
        by = {(row["victim"], row["surrogate"], row["trained on"]): row for row in both}
        for (victim, surrogate, name), row in by.items():
            if name != set_name or (beside := by.get((victim, surrogate, other))) is None:
                continue
            one, two = row["accuracy (%)"], beside["accuracy (%)"]
            words = f"{set_name} {_points(row)}, {other} {_points(beside)}"
            yield _Case(f"{victim} by {surrogate}", rule(one, two), words)

    return cases


def _points(row: Mapping[str, Any]) -> str:
    deviation = row["accuracy ± std (%)"]
    spread = "(1 seed)" if deviation is None else f"± {deviation:.1f}"
    return f"{row['accuracy (%)']:.1f} {spread} %"


def _transfer(tables: Tables) -> Iterator[_Case]:
    for row in _rows(tables, "transfer", trained_on="natural"):
        if row.get("Spearman") is None:
            continue
        name, ratio = f"{row['victim']} by {row['surrogate']}", row["ratio median"]
        yield _Case(f"{name}, order", row["Spearman"] >= 0.5, f"Spearman {row['Spearman']:.2f}")
        yield _Case(f"{name}, place", 0.9 <= ratio <= 1.1, f"median ratio {ratio:.2f}")


def _leads(tables: Tables) -> Iterator[_Case]:
    for slug, rows in tables.items():
        for row in rows if slug.startswith("leads-") else ():
            if row["over"] == "margin, whole pool" and row["95 % low"] is not None:
                heads = ("lead (points of agreement)", "95 % low", "95 % high")
                lead, low, high = (float(row[head]) for head in heads)  # type: ignore[arg-type]
                words = f"{lead:+.1f} points [{low:.1f}, {high:.1f}]"
                where = f"{slug.removeprefix('leads-')}, {row['budget']:,} queries"
                yield _Case(where, low > 0, words)


def _below_half(accuracy: float, random_tenth: float) -> bool:
    return accuracy < random_tenth / 2


_HALF = "accuracy below half of a random tenth's"
_BY_MODEL_3 = "(MNIST, Model 1 by Model 3)"
_CLAIMS = (
    _Claim(
        "All L_n distances are the same",
        "order: Spearman of L1 and L∞ at least 0.9; size: their ratio within 10 %",
        "“the same distance”",
        _norms,
    ),
    _Claim(
        "Nearer to the boundary the output is softer",
        "rank correlation of distance and entropy below 0 (95 %)",
        "figure 1",
        _softer,
    ),
    _Claim(
        "Beyond a certain distance softness hardly varies",
        "mean entropy beyond the knee below a quarter of that before",
        "figure 1",
        _level,
    ),
    _Claim(
        "Softness is inversely proportional to distance near the boundary",
        "from the nearest 1 % of rows to the nearest row, entropy grows at least half as fast as "
        "distance shrinks",
        "“inversely proportional”",
        _inverse,
    ),
    _Claim(
        "Augmentation votes are a poor proxy",
        "votes rank entropy worse than distance does",
        "not measured",
        _votes,
    ),
    _Claim(
        "The mode of natural images lies far from the boundary",
        "at least a fifth of the rows lie nearer than the mode",
        "figures 2 and 3",
        _mode,
    ),
    _Claim(
        "Uniform inputs pile up at the boundary",
        "fewer than a tenth of the rows lie nearer than the mode",
        "figures 2 and 3",
        _piled("uniform"),
    ),
    _Claim("So do normal inputs", "as for uniform inputs", "figure 2", _piled("normal")),
    _Claim(
        "The reason is high-dimensional geometry",
        "random inputs pile up at every victim's boundary",
        "the reason given",
        _geometry,
    ),
    _Claim(
        "Samples near the boundary alone do not suffice",
        "“low” below a random tenth",
        f"low 76.31 % {_BY_MODEL_3}",
        _against("low", "random", operator.lt),
    ),
    _Claim(
        "Samples near the class centres extract better",
        "“high” above “low”",
        f"high 86.28 %, low 76.31 % {_BY_MODEL_3}",
        _against("high", "low", operator.gt),
    ),
    _Claim(
        "Class imbalance may be why",
        "balancing the classes lifts “high”",
        "not measured",
        _against("high, balanced", "high", operator.gt),
    ),
    _Claim(
        "Flip points are useless for extraction",
        _HALF,
        f"10.32 % {_BY_MODEL_3}",
        _against("flip points", "random", _below_half),
    ),
    _Claim(
        "Uniform random inputs are useless for extraction",
        _HALF,
        f"10.10 % {_BY_MODEL_3}",
        _against("uniform random", "random", _below_half),
    ),
    _Claim(
        "A tenth, uniform in distance, is nearly as good as everything",
        "within 4 points of the full set",
        f"93.94 % against 96.73 % {_BY_MODEL_3}",
        _against("uniform distance", "natural", lambda tenth, full: tenth >= full - 4),
    ),
    _Claim(
        "Does boundary knowledge transfer?",
        "order: Spearman of both distances at least 0.5; place: median ratio within 10 % of 1",
        "not asked",
        _transfer,
    ),
    _Claim(
        "Do distances buy what peers do not have?",
        "our best strategy leads margin learning (95 %)",
        "not asked",
        _leads,
    ),
)
