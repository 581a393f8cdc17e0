"""Whether a plugin is fit to be published, told from its files: nothing of it runs."""

from ntp.validation.check import validate
from ntp.validation.finding import Finding, Permissions, Report, Severity

__all__ = ["Finding", "Permissions", "Report", "Severity", "validate"]
