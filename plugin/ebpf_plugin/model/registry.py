"""What follows from the order of the groups in the registry: the places of their charts in the dashboard."""
from __future__ import annotations

from .chart import Chart
from .group import Group

# Behind all charts that have a priority of their own: those of the machine, those of applications.
FIRST, FIRST_OF_APPLICATIONS = 21200, 20100
ROOM = 50  # for each group


def with_priorities(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups, with a priority for each chart that has none: in the order of the groups, and in a group of its charts."""
    return tuple(_with_priorities(group, place) for place, group in enumerate(groups))


def _with_priorities(group: Group, place: int) -> Group:
    if all(chart.priority for chart in group.charts + group.apps):
        return group
    return group._replace(charts=_numbered(group.charts, FIRST + ROOM * place),
                          apps=_numbered(group.apps, FIRST_OF_APPLICATIONS + ROOM * place))


def _numbered(charts: tuple[Chart, ...], first: int) -> tuple[Chart, ...]:
    return tuple(chart if chart.priority else chart._replace(priority=first + place) for place, chart in enumerate(charts))
