#!/usr/bin/env bash
# The topics of broker1:9092,broker2:9092
# Written by `backplane compile`: change the document and compile again, not this file.
#
# Safe to run again. A topic that is missing is created; one that is there gets its configs.
# Partitions and replicas of a topic that is there are left alone: `backplane plan` shows what differs and what it risks.
#
# BOOTSTRAP       brokers, host:port with commas between (default: as in the document)
# COMMAND_CONFIG  a properties file with TLS and SASL settings of the client, where the cluster asks for them
# KAFKA_BIN       the folder of kafka-topics.sh and kafka-configs.sh, where they are not on the PATH
set -euo pipefail

default_bootstrap=broker1:9092,broker2:9092
BOOTSTRAP=${BOOTSTRAP:-$default_bootstrap}

# Packages differ: Apache's tools end in .sh, those of Confluent and Homebrew do not.
find_tool() {
  local name
  for name in "${KAFKA_BIN:+$KAFKA_BIN/}$1.sh" "${KAFKA_BIN:+$KAFKA_BIN/}$1"; do
    if command -v "$name"; then return; fi
  done
  echo "$1.sh is not on the PATH; set KAFKA_BIN to the bin folder of Kafka" >&2
  return 1
}

kafka_topics=$(find_tool kafka-topics)
kafka_configs=$(find_tool kafka-configs)
connection=(--bootstrap-server "$BOOTSTRAP")
if [[ -n ${COMMAND_CONFIG:-} ]]; then connection+=(--command-config "$COMMAND_CONFIG"); fi

# One list for all topics: each call of a tool starts a Java machine.
existing=$("$kafka_topics" "${connection[@]}" --list)

# ensure_topic NAME PARTITIONS REPLICAS CONFIG=VALUE...
ensure_topic() {
  local name=$1 partitions=$2 replicas=$3 setting value
  local create=() alter=
  shift 3
  for setting in "$@"; do
    create+=(--config "$setting")
    value=${setting#*=}
    if [[ $value == *,* ]]; then value="[$value]"; fi # how kafka-configs.sh tells a list from the next config
    alter+="${alter:+,}${setting%%=*}=$value"
  done
  if grep -Fxq -- "$name" <<<"$existing"; then
    "$kafka_configs" "${connection[@]}" --alter --entity-type topics --entity-name "$name" --add-config "$alter"
  else
    "$kafka_topics" "${connection[@]}" --create --if-not-exists --topic "$name" \
      --partitions "$partitions" --replication-factor "$replicas" "${create[@]}"
  fi
}

ensure_topic shop.experiment-analysis-signals 12 3 \
  cleanup.policy=compact,delete \
  min.insync.replicas=2 \
  retention.ms=2592000000

ensure_topic shop.experiment-assignments 12 3 \
  cleanup.policy=compact,delete \
  min.insync.replicas=2 \
  retention.ms=2592000000

ensure_topic shop.experiment-errors 12 3 \
  cleanup.policy=compact,delete \
  min.insync.replicas=2 \
  retention.ms=7776000000

ensure_topic shop.experiment-exposures 24 3 \
  cleanup.policy=compact,delete \
  min.insync.replicas=2 \
  retention.ms=2592000000

ensure_topic shop.experiment-outcomes 12 3 \
  cleanup.policy=compact,delete \
  min.insync.replicas=2 \
  retention.ms=2592000000
