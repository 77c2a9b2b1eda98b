"""The HTML report: one file that opens offline and says what to ship, why, and how surely."""

from edgekit.html_report.page import write_report

__all__ = ["write_report"]
