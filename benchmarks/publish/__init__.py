"""Makes this project's own documents and published folders."""
