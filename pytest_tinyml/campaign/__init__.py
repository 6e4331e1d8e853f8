"""Use case: run a model over a data set on boards, compare with a reference, and keep everything in a journal."""

from pytest_tinyml.campaign.reference import ReferenceRun
from pytest_tinyml.campaign.run import Campaign
from pytest_tinyml.campaign.samples import SampleEncoder
from pytest_tinyml.campaign.settings import CampaignSettings

__all__ = ["Campaign", "CampaignSettings", "ReferenceRun", "SampleEncoder"]
