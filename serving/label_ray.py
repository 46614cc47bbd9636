"""Labelling shards on a Ray cluster: Ray Data hands them to actors, each with a classifier of its own.

Ray is imported where it is needed only; it comes with the extra ``ray``.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from data.errors import FeedbackError
from data.tables import FileFormat
from model.classifier import Classifier
from model.errors import ModelError
from serving.errors import ServingError
from serving.label_errors import ClusterFailed, ExtraMissing, LabellingError
from serving.label_options import LabelOptions
from serving.label_shards import Shard, label_shard

_OBJECT_STORE_BYTES: Final = 100 << 20  # names and summaries go through it, rows do not
_ANSWER_S: Final = 10.0
_ADDRESS: Final = re.compile(r"(?P<host>[^:/]+):(?P<port>\d+)")


@dataclass(frozen=True)
class ClusterOptions:
    """Where the shards are labelled.

    Attributes:
        address: of a running cluster; that of the environment's ``RAY_ADDRESS``, or a cluster of this machine alone.
        actors: classifiers at work at the same time; as many as the cluster's cores allow where None.
        threads: cores of each.
        bundle: folder of the bundle, the same on every machine; the shipped one where None.
    """

    address: str | None = None
    actors: int | None = None
    threads: int = 1
    bundle: str | None = None


class ShardLabeller:
    """What runs in an actor: one classifier that labels shard after shard.

    Args:
        cluster: the bundle and the cores.
        options: how to label.
        model_version: that the bundle must have.

    Raises:
        LabellingError: this machine has another bundle.
    """

    def __init__(self, cluster: ClusterOptions, options: LabelOptions, model_version: str) -> None:
        import ray

        self._options = options
        self._node = ray.get_runtime_context().get_node_id()
        self._classifier = Classifier.load(cluster.bundle, threads=1)
        if self._classifier.model_version != model_version:
            there = self._classifier.model_version
            raise LabellingError(f"node {self._node} has bundle {there}, this machine has {model_version}")

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Label the shards of a batch.

        Args:
            batch: ``shard``, as JSON.

        Returns:
            ``outcome``, as JSON, in the same order.
        """
        return {"outcome": [json.dumps(self._outcome(shard_from(text))) for text in batch["shard"]]}

    def _outcome(self, shard: Shard) -> dict[str, Any]:
        named = {"input": shard.source, "output": shard.output, "node": self._node}
        try:
            return {**named, **label_shard(self._classifier, shard, self._options)}
        except (FeedbackError, ModelError, ServingError, OSError) as error:  # the other shards go on
            return {**named, "failed": str(error)}


def shard_from(text: str) -> Shard:
    """A shard from its JSON."""
    values = json.loads(text)
    form, output_form = FileFormat(**values["form"]), FileFormat(**values["output_form"])
    return Shard(**{**values, "form": form, "output_form": output_form})


def label_on_ray(
    shards: Sequence[Shard], cluster: ClusterOptions, options: LabelOptions, model_version: str
) -> Iterator[dict[str, Any]]:
    """Label shards on a cluster.

    Args:
        shards: what to label; the largest are begun first.
        cluster: where.
        options: how.
        model_version: of the bundle.

    Yields:
        What became of each shard, as it is done: its summary, or ``failed`` with the reason.

    Raises:
        ExtraMissing: Ray is not installed.
        ClusterFailed: the cluster cannot be reached, or an actor could not be started.
    """
    ray = _ray()
    try:
        _connect(ray, cluster.address)
        try:
            largest_first = sorted(shards, key=lambda shard: -shard.bytes)
            rows = [{"shard": json.dumps(asdict(shard))} for shard in largest_first]
            size = cluster.actors or max(1, int(ray.cluster_resources().get("CPU", 1)) // cluster.threads)
            labelled = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                ShardLabeller,
                batch_size=1,
                num_cpus=cluster.threads,
                compute=ray.data.ActorPoolStrategy(size=min(size, len(rows)), max_tasks_in_flight_per_actor=1),
                fn_constructor_args=(cluster, options, model_version),
            )
            for row in labelled.iter_rows():
                yield json.loads(row["outcome"])
        finally:
            ray.shutdown()
    except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
        raise ClusterFailed(error) from error


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its C++ part logs advice for developers of Ray as errors
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ExtraMissing("--engine ray", "fankui[ray]", error) from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    address = address or os.environ.get("RAY_ADDRESS")
    own = {} if address else {"object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    place = _ADDRESS.fullmatch(address or "")
    try:
        if place:  # Ray itself would knock at an empty place for many minutes
            socket.create_connection((place["host"], int(place["port"])), timeout=_ANSWER_S).close()
    except OSError as error:
        raise ClusterFailed(f"no cluster answers at {address}: {error}") from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # a node that does not start raises just that
        raise ClusterFailed(error) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
