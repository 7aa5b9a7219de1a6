"""Every error that symcost raises on purpose: what is wrong, where, and what to do."""


class SymcostError(Exception):
    """Base of all errors that a user can cause and mend."""


class ShapeError(SymcostError):
    """Sizes that do not fit together."""


class OperatorError(SymcostError):
    """An operator that is unknown, or stated a second time."""


class UnitError(SymcostError, TypeError):
    """Two quantities of different kinds were about to be mixed."""


class UnboundSymbolError(SymcostError):
    """A formula was to be evaluated without a value for one of its symbols."""


class DomainError(SymcostError, ValueError):
    """A value outside what a symbol or a formula stands for."""


class InputError(SymcostError, ValueError):
    """A workload, an image or a file that cannot be used."""


class ConfigError(SymcostError, ValueError):
    """A model configuration that is foreign, incomplete or contradicts itself."""


class StageError(SymcostError, RuntimeError):
    """A stage was asked for that the model, as it was put together, cannot run."""
