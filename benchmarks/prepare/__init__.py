"""Scripts that make the models and what the peers need of them; they run in the environment `oracle`."""
