"""Monitoring of long work: events as JSON lines, metrics for Prometheus, spans for OpenTelemetry; off by default."""
