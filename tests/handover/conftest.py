from tests.stages.conftest import project, run_config

__all__ = ["project", "run_config"]
