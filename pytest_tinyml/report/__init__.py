"""What a run leaves behind: terminal summary and results.json."""
