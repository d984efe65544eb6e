"""Kafka's own command-line tools as they are called where Kafka is installed, for scripts that call them."""

from pathlib import Path
from shlex import join

from tests.servers.kafka_node import Installation, logging_option

TOOLS = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
}
# Short runs: compile little, share classes.
QUICK = ("-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx256m")


def write_tools(installation: Installation) -> Path:
    """Write the tools into the directory of the run and return where they are."""
    place = installation.directory / "bin"
    place.mkdir(exist_ok=True)
    for name, main_class in TOOLS.items():
        java = [installation.java, *QUICK, logging_option(installation), "-cp", f"{installation.libs}/*", main_class]
        tool = place / name
        tool.write_text(f'#!/bin/sh\nexec {join(java)} "$@"\n', encoding="utf-8")
        tool.chmod(0o755)
    return place
