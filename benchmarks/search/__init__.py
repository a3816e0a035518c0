"""The same search for every optimizer: its draws and its runs."""
