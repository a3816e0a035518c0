"""The rows of a report: their columns, the CSV files, and the folder."""
