"""Real servers for tests and demos: Apache Kafka from Maven Central, PostgreSQL from the operating system.

Standard library only, so that `make demo-kafka` and `make servers` need nothing else. Each server runs on free loopback
ports under a guard that ends it when its owner dies, even by SIGKILL; what a killed run left is cleared by the next start.
"""

from tests.servers.errors import ServerFailedError, ServerUnavailableError
from tests.servers.kafka import KafkaCluster, SecureKafka, running_kafka, running_secure_kafka
from tests.servers.postgresql import PostgreSQLServer, running_postgresql

__all__ = [
    "KafkaCluster",
    "PostgreSQLServer",
    "SecureKafka",
    "ServerFailedError",
    "ServerUnavailableError",
    "running_kafka",
    "running_postgresql",
    "running_secure_kafka",
]
