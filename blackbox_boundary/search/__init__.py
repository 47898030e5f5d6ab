"""What every search stands on: its questions, its state, paths, line search, margins and geometry."""
