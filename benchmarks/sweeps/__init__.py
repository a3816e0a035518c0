"""Many runs into one folder."""
