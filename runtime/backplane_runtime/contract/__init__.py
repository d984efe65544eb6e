"""What every backplane promises, as a test; see `check`."""

from backplane_runtime.contract.check import ContractOptions, check_backplane_contract
from backplane_runtime.contract.samples import StoredEvent, sample_records

__all__ = ["ContractOptions", "StoredEvent", "check_backplane_contract", "sample_records"]
