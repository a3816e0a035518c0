"""Many runs with one folder for their results."""
