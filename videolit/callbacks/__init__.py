"""What watches a run and writes its results."""

from videolit.callbacks.audit import TemporalAudit
from videolit.callbacks.average import LastEpochsAverage
from videolit.callbacks.chance import ChanceWarning
from videolit.callbacks.checkpoint_io import AtomicCheckpointIO
from videolit.callbacks.evaluation import EvaluationCard
from videolit.callbacks.oracle import OracleEpoch
from videolit.callbacks.predictions import PredictionWriter
from videolit.callbacks.report import TestReport
from videolit.callbacks.sanity import SanityChecks
from videolit.callbacks.sentiment_audit import SentimentAudit
from videolit.callbacks.sentiment_card import SentimentCard
from videolit.callbacks.summary_audit import SummaryAudit
from videolit.callbacks.summary_card import SummaryCard
from videolit.callbacks.terminal import RunProgress, RunSummary
from videolit.callbacks.wait import DataWait

__all__ = [
    "AtomicCheckpointIO",
    "ChanceWarning",
    "DataWait",
    "EvaluationCard",
    "LastEpochsAverage",
    "OracleEpoch",
    "PredictionWriter",
    "RunProgress",
    "RunSummary",
    "SanityChecks",
    "SentimentAudit",
    "SentimentCard",
    "SummaryAudit",
    "SummaryCard",
    "TemporalAudit",
    "TestReport",
]
