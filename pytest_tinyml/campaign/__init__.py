"""Use case: run a model over a data set on boards, compare with a reference, and keep everything in a journal."""

from pytest_tinyml.campaign.reference import ReferenceRun
from pytest_tinyml.campaign.run import Campaign, CampaignSettings
from pytest_tinyml.campaign.samples import SampleEncoder

__all__ = ["Campaign", "CampaignSettings", "ReferenceRun", "SampleEncoder"]
