"""semrob: how robust is a network to a change of viewpoint, light or distance, by counted queries."""
