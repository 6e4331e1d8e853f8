"""The report as one HTML file: no network, no script, light and dark, on paper, a desk or a phone."""
