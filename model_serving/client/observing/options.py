"""The options of the commands that show a running job."""

from __future__ import annotations

import argparse

from model_serving.client.decoding import Kind
from model_serving.client.option_values import count, positive, some_text
from model_serving.client.settings_options import add_topics
from model_serving.observe.ranking import Order

__all__ = ["query_options", "stats_options", "status_options", "top_options"]


def status_options(status: argparse.ArgumentParser) -> None:
    """Adds the options of ``status``."""
    status.add_argument("data_type", nargs="?", metavar="DATA_TYPE", help="show only this data type")
    status.add_argument("--history", action="store_true", help="show every model that served or was rejected")
    status.add_argument("--json", action="store_true", help="print one JSON object a line")
    add_topics(status, Kind.STATUS)


def stats_options(stats: argparse.ArgumentParser) -> None:
    """Adds the options of ``stats``."""
    stats.add_argument("data_type", type=some_text, metavar="DATA_TYPE", help="the data type")
    stats.add_argument("--json", action="store_true", help="print one JSON object")
    _add_observed(stats)


def top_options(top: argparse.ArgumentParser) -> None:
    """Adds the options of ``top``."""
    orders = [order.value for order in Order]
    top.add_argument("--once", action="store_true", help="print it once, as without a terminal")
    top.add_argument(
        "--sort",
        choices=orders,
        default=Order.NAME.value,
        metavar="BY",
        help=f"{', '.join(orders)} (default: name)",
    )
    top.add_argument("--search", default="", metavar="TEXT", help="only data types with this in their name")
    _add_observed(top)


def query_options(query: argparse.ArgumentParser) -> None:
    """Adds the options of ``query``."""
    query.add_argument("data_type", nargs="?", metavar="DATA_TYPE", help="only this data type")
    query.add_argument(
        "--interval-s",
        type=positive,
        default=20.0,
        metavar="SECONDS",
        help="the time between two lines (default: 20)",
    )
    query.add_argument("--count", type=count, metavar="N", help="stop after N intervals")
    _add_observed(query)


def _add_observed(parser: argparse.ArgumentParser) -> None:
    add_topics(parser, Kind.STATUS, Kind.STATISTICS, Kind.DEAD_LETTERS)
