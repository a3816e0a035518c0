"""The same search for every optimizer: what is drawn, and which runs that makes."""
