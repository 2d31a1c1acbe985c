"""One partition's records in, one message for every shard out, every sample accounted for."""

from operators.intake.accounts import Accounts
from operators.intake.partition import Delivery, Intake
from operators.sources import SourceRecord

__all__ = ["Accounts", "Delivery", "Intake", "SourceRecord"]
