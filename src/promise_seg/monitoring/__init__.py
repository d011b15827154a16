"""Monitoring of long work: events as JSON lines, metrics for Prometheus, spans for OpenTelemetry; nothing by default."""
