"""Metrics for Prometheus, over HTTP, and spans for OpenTelemetry."""

import socketserver
import sys
from contextlib import ExitStack
from urllib.request import urlopen

import pytest

from promise_seg.errors import SettingsError
from promise_seg.monitoring import hooks, metrics
from promise_seg.monitoring.hooks import Listener, happened, item_ended, listening, progressed, step
from promise_seg.monitoring.monitored import monitored
from promise_seg.vocabulary import ItemOutcome, WorkStep


def asked(address: str) -> list[str]:
    with urlopen(address) as answer:
        return answer.read().decode().splitlines()


def test_what_is_counted():
    pytest.importorskip("prometheus_client")
    notes: list[str] = []
    with monitored(metrics=0, note=notes.append):
        item_ended("predict", "patient-7", ItemOutcome.DONE, 0.2)
        item_ended("predict", "patient-8", ItemOutcome.FAILED, 0.1)
        with step(WorkStep.ENCODE):
            pass
        progressed("predicting", 3, 9)
        happened("epoch", epoch=4, val_dice=0.75)
        address = notes[0].removeprefix("metrics at ")
        assert address.startswith("http://127.0.0.1:")
        lines = asked(address)
    assert 'promise_seg_items_total{outcome="done",work="predict"} 1.0' in lines
    assert 'promise_seg_items_total{outcome="failed",work="predict"} 1.0' in lines
    assert 'promise_seg_item_seconds_count{work="predict"} 1.0' in lines
    assert 'promise_seg_step_seconds_count{step="encode"} 1.0' in lines
    assert 'promise_seg_stage_done{stage="predicting"} 3.0' in lines
    assert 'promise_seg_stage_total{stage="predicting"} 9.0' in lines
    assert 'promise_seg_train_val_dice{class=""} 0.75' in lines
    assert "patient" not in "".join(lines)
    with pytest.raises(OSError, match="refused"):
        asked(address)


def test_mistakes(monkeypatch):
    with pytest.raises(SettingsError, match=r"--metrics-host 0.0.0.0: needs --metrics PORT"):
        monitored(metrics_host="0.0.0.0").__enter__()
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"--metrics 0: needs prometheus-client.*promise-seg\[monitoring\]"):
        monitored(metrics=0).__enter__()


def test_an_address_for_metrics_that_are_not_served_is_refused_beside_a_log(tmp_path):
    with pytest.raises(SettingsError, match=r"--metrics-host 0\.0\.0\.0: needs --metrics PORT"):
        monitored(log_file=tmp_path / "x.jsonl", metrics_host="0.0.0.0").__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_name_is_no_utf8_can_be_asked_for(monkeypatch):
    pytest.importorskip("prometheus_client")
    monkeypatch.setenv("PROMISE_SEG_RUN", "night\udcff")
    notes: list[str] = []
    with monitored(metrics=0, note=notes.append):
        assert 'run="night\ufffd"' in "".join(asked(notes[0].removeprefix("metrics at ")))


def test_classes_are_told_apart():
    pytest.importorskip("prometheus_client")
    notes: list[str] = []
    with monitored(metrics=0, note=notes.append):
        happened("epoch", epoch=4, **{"class": 1})
        happened("epoch", epoch=2, **{"class": 2})
        lines = asked(notes[0].removeprefix("metrics at "))
    assert 'promise_seg_train_epoch{class="1"} 4.0' in lines
    assert 'promise_seg_train_epoch{class="2"} 2.0' in lines


def test_the_end_does_not_wait_for_the_server(monkeypatch):
    pytest.importorskip("prometheus_client")
    polls, serve = [], socketserver.BaseServer.serve_forever

    def noted(self, poll_interval=0.5):
        polls.append(poll_interval)
        serve(self, poll_interval)

    monkeypatch.setattr(socketserver.BaseServer, "serve_forever", noted)
    with monitored(metrics=0):
        pass
    assert polls == [metrics._POLL_SECONDS]
    assert metrics._POLL_SECONDS < 0.1


def test_a_listener_that_raises_ends_nothing_and_is_logged_once(caplog):
    class Broken(Listener):
        def item_ended(self, *_):
            raise RuntimeError("broken")

    class Counting(Listener):
        count = 0

        def item_ended(self, *_):
            self.count += 1

    counting = Counting()
    with listening(Broken(), counting), step(WorkStep.READ):
        for _ in range(3):
            item_ended("predict", "x", ItemOutcome.DONE)
    assert counting.count == 3
    assert [one.getMessage().endswith("RuntimeError: broken") for one in caplog.records] == [True]


def test_ports_that_cannot_be_used():
    pytest.importorskip("prometheus_client")
    notes: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(monitored(metrics=0, note=notes.append))
        port = int(notes[0].rpartition(":")[2].partition("/")[0])
        with pytest.raises(SettingsError, match=rf"--metrics {port}: cannot listen at 127.0.0.1: Address already"):
            stack.enter_context(monitored(metrics=port))
    with pytest.raises(SettingsError, match="expected a port from 0 to 65535"):
        monitored(metrics=70_000).__enter__()
    with pytest.raises(SettingsError, match=r"--metrics-host a\.\.b: cannot be the name of a computer"):
        monitored(metrics=0, metrics_host="a..b").__enter__()


def test_without_listeners_a_step_is_nothing():
    assert step(WorkStep.READ, "a") is hooks._NOTHING


def test_spans_go_to_whoever_collects_them(monkeypatch):
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    assert step(WorkStep.READ, "a") is hooks._NOTHING  # nobody has set it up
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    with step(WorkStep.READ, "p1/a"), step(WorkStep.DECODE):
        pass
    with pytest.raises(KeyError), step(WorkStep.WRITE, "p1/a"):
        raise KeyError("x")
    inner, outer, failed = exporter.get_finished_spans()
    assert (inner.name, outer.name, failed.name) == ("promise_seg.decode", "promise_seg.read", "promise_seg.write")
    assert inner.parent.span_id == outer.context.span_id
    assert dict(outer.attributes) == {"promise_seg.item": "p1/a"}
    assert not failed.status.is_ok


def test_opentelemetry_is_not_imported_for_spans(monkeypatch):
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    with step(WorkStep.READ, "a"):
        pass
    assert "opentelemetry.trace" not in sys.modules
