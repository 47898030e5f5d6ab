"""Building blocks of every search: questions, state, paths, line search, margins, geometry."""
