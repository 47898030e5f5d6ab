r"""The tightest distance that a few gradients can buy, in L0, L1, L2 or L-infinity.

Bounds, frozen inputs and integer grids are respected.

Which point of a ball around ``x`` has the smallest margin? And how large must the ball be for that
margin to vanish? We take one step on each question in turn: a Frank-Wolfe step [1]_ over
(ball ∩ box), whose far points are solved exactly, then the radius goes to where the straight line
through the margins at ``x`` and at the point reaches zero. Blending the far points averages the
gradients met on the way, which suits a boundary made of many small facets; a decoupled
direction and norm [2]_ is the special case of L2 without a box. The step that gives the package its
name ends each round: the projection of ``x`` on the tangent plane of the boundary [3]_ [4]_.

| symbol | here | shape |
|---|---|---|
| x, x + d | ``x``, ``step`` | (n, d), flattened rows |
| f = z_home − max z_j | ``margin`` | (n,) log-odds |
| f with a soft maximum of temperature T | ``soft_weights`` | (n,) log-odds |
| w = ∇f(x + d) | ``slope`` | (n, d) |
| r, the ball's radius in the norm asked for | ``radius`` | (n,) input units |
| s = argmin ⟨w, s⟩ over ball and box | :func:`~.search.geometry.farthest` | (n, d) |
| γ, the blend | :func:`.descent._cosine` from 1 to 0.025 | scalar |
| projection on the L1 ball in the box | :func:`~.search.geometry.shrunk` | (n, d) |

In L1 the far points of a ball are a few coordinates at the faces of the box, and blends of them
settle in the first sparse point that flips. So the first steps, one in eight, go over the L2 ball,
to where the boundary is near at all, and the others descend with a projection on the L1 ball [5]_
[6]_, which takes small coordinates to zero one after the other: from a dense step to a sparse one.
How far a coordinate moves at once is learnt by each row: less after every point that did not flip.

Differences from the sources: [1]_ minimises over a fixed set, ours moves with the radius. [2]_
follows the cross-entropy and changes the norm by a fixed factor; here the rivals' weights come from
a *soft* maximum whose temperature falls with the steps, in units of the margin at ``x`` (so that
the scale of the logits cancels): warm at first, so that every near class pulls, cold at the end, so
that the nearest decides.

A point beyond the boundary may have no gradient: all units of a net are dead there. The row then
goes back towards ``x`` and goes on. After the first round, rows that show need descend again, three
times at most (:mod:`.restarts`): rows without a flip, from a corner of the box that flips, and rows
whose flip point is no minimum.

Rows whose probabilities are saturated start at the boundary, where they are not
(:mod:`.saturated`).

Further rounds look where the first may not have: from a colder start, from the best point on, and
towards another class; rows without a flip start at random. From the fifth on, each row chooses how
a round starts by what has paid for it (:mod:`.later`). A round never reads what a later limit
will be, so that more rounds, or a larger ``max_queries``, never worsen a distance.

Cost per row and round: ``steps`` gradients, about ``steps + 4`` predictions; a row that shows need
costs up to four times as much in its first round. 28 gradients a row in the mean on 101 rows of
five verification nets, 12 of which start again; 24 on nets trained plainly, where none does.

In L0 another search takes the place of the rounds (:mod:`.support`).

A round is read in this order: :mod:`.plan` says what it does, :mod:`.descent` steps along the
boundary, :mod:`.closing` projects on the tangent plane and closes the bracket, :mod:`.restarts`
repeats that where there is need; :mod:`.state` asks the questions and keeps the best flip.

References
----------
.. [1] M. Frank, P. Wolfe, "An algorithm for quadratic programming", Naval Research Logistics
   Quarterly 3, 1956.
.. [2] J. Rony et al., "Decoupling direction and norm for efficient gradient-based L2 adversarial
   attacks", CVPR 2019. arXiv 1811.09600.
.. [3] S. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool", CVPR 2016. arXiv 1511.04599.
.. [4] F. Croce, M. Hein, "Minimally distorted adversarial examples with a fast adaptive boundary
   attack", ICML 2020. arXiv 1907.02044.
.. [5] J. Duchi et al., "Efficient projections onto the l1-ball for learning in high dimensions",
   ICML 2008.
.. [6] M. Pintor et al., "Fast minimum-norm adversarial attacks through adaptive norm constraints",
   NeurIPS 2021. arXiv 2102.12827.
"""

from .estimator import Tangent

__all__ = ["Tangent"]
