"""What a Prometheus server reads of this one."""

from prometheus_client import (
  CollectorRegistry,
  Counter,
  Gauge,
  Histogram,
  ProcessCollector,
  disable_created_metrics,
  exposition,
)

from carvana_jax.serving.worker import Line

CONTENT_TYPE = exposition.CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 30)


class Metrics:
  """Counts what the server does."""

  def __init__(self, line: Line):
    """Constructs counters at 0.

    Args:
      line: the photos under way.
    """
    disable_created_metrics()  # which double the lines, for old servers
    self._registry = CollectorRegistry()
    self._requests = Counter(
      'carvana_requests',
      'Answers, by path and status of HTTP.',
      ['path', 'status'],
      registry=self._registry,
    )
    self._seconds = Histogram(
      'carvana_request_seconds',
      'Time from a request to its answer, of photos that were answered.',
      ['path'],
      buckets=_SECONDS,
      registry=self._registry,
    )
    Gauge(
      'carvana_photos_inside',
      'Photos that are read, wait or are worked on.',
      registry=self._registry,
    ).set_function(lambda: line.inside)
    # Memory, time of CPU and open files of this process.
    ProcessCollector(registry=self._registry)

  def count(self, path: str, status: int, seconds: float | None) -> None:
    """Counts an answer.

    Args:
      path: of the URL, one of those that the server knows.
      status: of HTTP.
      seconds: since its request, if it was made of a photo.
    """
    self._requests.labels(path, status).inc()
    if seconds is not None:
      self._seconds.labels(path).observe(seconds)

  def text(self) -> bytes:
    """Returns all of it in Prometheus' text format."""
    return exposition.generate_latest(self._registry)
