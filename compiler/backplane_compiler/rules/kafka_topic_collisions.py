"""Topics whose names are one for the broker: it stores metrics under names in which `.` is `_`."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic, Severity
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import at, error, place
from backplane_compiler.rules.kafka_topics import Topic, name_path, topics_of


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for names that collide on one cluster, and a note where one topic gets two numbers of partitions."""
    by_name: dict[tuple[str, str], Topic] = {}
    noted: set[str] = set()
    for topic in topics_of(model):
        first = by_name.setdefault((topic.server, topic.name.replace(".", "_")), topic)
        if first.name != topic.name:
            message = f"the topics `{first.name}` and `{topic.name}` collide: a broker takes `.` and `_` for the same"
            yield error(
                "kafka-topic-collision", message, place(model, name_path(model, topic)), hint="rename one of the two"
            )
        elif first.backplane is topic.backplane and first.partitions != topic.partitions and topic.name not in noted:
            noted.add(topic.name)
            yield _two_sizes(model, first, topic)


def _two_sizes(model: Model, first: Topic, second: Topic) -> Diagnostic:
    message = (
        f"`{first.name}` is the topic of `{first.event_type}` with {first.partitions} partitions"
        f" and of `{second.event_type}` with {second.partitions}; the larger number is used"
    )
    topic = second if second.overridden else first
    span = model.span(at(model, (*topic.provisioning_path, "partitions")))
    return Diagnostic("kafka-topic-partitions", Severity.NOTE, message, span, hint="give both the same number")
