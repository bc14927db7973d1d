from tests.tracking.conftest import add, config, migrated, project, root, store

__all__ = ["add", "config", "migrated", "project", "root", "store"]
