"""Monitoring of long runs: JSON event logs, Prometheus metrics and OpenTelemetry spans; off by default."""
