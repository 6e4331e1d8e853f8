"""What is kept in files: data sets, models and their cards, journals, baselines."""
