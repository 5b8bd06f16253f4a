"""What a change of kind costs: the first request of another kind against one more of the same."""
