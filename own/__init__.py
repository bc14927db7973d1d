"""Code of your own that params.yaml names: data sources, teachers, operations. Every stage depends on this folder."""
