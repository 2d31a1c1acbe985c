"""The embedding path: how fast it folds and scores, how often it is wrong, and what it sees."""
