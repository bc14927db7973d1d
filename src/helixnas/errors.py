"""What a user can put right. Everything else is a bug and may raise anything.

    HelixError
    ├── ConfigError             a value in params.yaml cannot work
    ├── DataError               the images cannot be read, or do not fit the run
    ├── CutError                teacher.blocks does not fit the teacher
    ├── SpaceMismatchError      an arch_id or a table belongs to another search space
    ├── InfeasibleBudgetError   no architecture fits: names the cheapest and the block that binds
    ├── OutOfTimeError          a time limit was over before there was a result
    ├── DistrustError           the tables do not order students, and search.fallback refuses them
    ├── DivergenceError         a loss became NaN or infinite
    │   └── CollapseError       embeddings of all images became alike
    ├── ArtifactError           a file is missing, truncated, tampered with, or from another version
    ├── ExportError             an exported file does not compute what the student does
    ├── PromotionError          the registry refuses: nothing to promote, or the gate stays shut
    └── EnvironmentFault        the machine refuses: a full disk, a port in use

Every message says what must hold, but what was got, and what to do. The command line prints it and exits with 2.
"""


class HelixError(ValueError):
    """A fault that a user can mend; its text is the whole explanation."""


class ConfigError(HelixError):
    """A value in params.yaml cannot work."""


class DataError(HelixError):
    """The images cannot be read, or do not fit the run."""


class CutError(HelixError):
    """``teacher.blocks`` does not fit the teacher."""


class SpaceMismatchError(HelixError):
    """An arch_id or a table belongs to another search space."""


class InfeasibleBudgetError(HelixError):
    """No architecture fits the budget."""


class OutOfTimeError(HelixError):
    """A time limit was over before there was a result."""


class DistrustError(HelixError):
    """The tables are not shown to order students, and ``search.fallback`` refuses to go on."""


class DivergenceError(HelixError):
    """A loss became NaN or infinite."""


class CollapseError(DivergenceError):
    """The embeddings of all images became alike, so that the loss is low and means nothing."""


class ArtifactError(HelixError):
    """A file is missing, truncated, tampered with, or from another version."""


class ExportError(HelixError):
    """An exported file does not compute what the student does."""


class PromotionError(HelixError):
    """The registry refuses: there is nothing to promote, or the gate stays shut."""


class EnvironmentFault(HelixError):
    """The machine refuses: a full disk, a port in use, a tool that is missing."""
