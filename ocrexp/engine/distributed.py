"""Devices and processes: which device to use, starting one process a device, and what the processes agree on.

Within a run on one device everything here answers at once and touches no communication.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.logs import without_paddle_lines

if TYPE_CHECKING:
    import paddle

logger = logging.getLogger(__name__)


def set_device(device: str) -> str:
    """Choose the device from auto, cpu, gpu or gpu:N; returns its name. Raises ValueError for a missing GPU.

    A process of a distributed run takes the GPU that the launcher gave it.
    """
    import paddle

    count = paddle.device.cuda.device_count() if paddle.device.is_compiled_with_cuda() else 0
    if device == "auto":
        device = "gpu" if count else "cpu"
    if device.startswith("gpu"):
        if not count:
            why = "finds no GPU" if paddle.device.is_compiled_with_cuda() else "is the CPU build (paddlepaddle)"
            raise ValueError(f"device={device}: this paddle {why}; use device=cpu, or install paddlepaddle-gpu")
        if world_size() > 1 and device == "gpu":
            chosen = os.environ.get("FLAGS_selected_gpus", "0")  # noqa: SIM112 (paddle's own spelling)
            device = f"gpu:{int(chosen.split(',')[0])}"
        number = int(device.partition(":")[2] or 0)
        if number >= count and world_size() == 1:
            raise ValueError(f"device={device}: this machine has {count} GPUs; use gpu:0 to gpu:{count - 1}")
    return str(paddle.set_device(device))


def rank() -> int:
    """This process's number among those of the run; 0 writes."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0")) if world_size() > 1 else 0


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))


def is_main() -> bool:
    """Whether this process writes files and reports."""
    return rank() == 0


def start_process_group(timeout_minutes: float = 120.0) -> bool:
    """Connect to the other processes of a distributed run; does nothing in a run of one process.

    `timeout_minutes` is how long a process on a CPU waits for another from then on; nccl takes it from the environment
    that the launcher sets. Returns False where paddle does not let it be set on a CPU: it then is 30 seconds.
    """
    if world_size() > 1:
        import paddle

        with without_paddle_lines():
            paddle.distributed.init_parallel_env()
        group = paddle.distributed.collective._get_default_group().process_group
        if group.name() == "GLOO":
            from ocrexp.engine.gloo import set_gloo_timeout

            return set_gloo_timeout(group, int(timeout_minutes * 60_000)) > 0
    return True


def barrier() -> None:
    """Wait until all processes are here."""
    if world_size() > 1:
        gather(None)  # the barrier of gloo and nccl differ in what they need; an exchange waits alike


def gather(value: Any) -> list[Any]:
    """The picklable values of all processes, in order of rank."""
    if world_size() == 1:
        return [value]
    import paddle

    values: list[Any] = []
    paddle.distributed.all_gather_object(values, value)
    return values


def all_agree(*flags: bool) -> list[bool]:
    """For each flag whether it is true in every process.

    One small all-reduce a batch, and a wait for it. It keeps the processes in step when one of them has nothing to
    train on or is told to stop: without it the others would wait for its gradients forever.
    """
    if world_size() == 1:
        return list(flags)
    import paddle

    shared = paddle.to_tensor([int(flag) for flag in flags], dtype="int32")
    paddle.distributed.all_reduce(shared, op=paddle.distributed.ReduceOp.MIN)
    return [bool(value) for value in shared.numpy()]


def wrap(model: paddle.nn.Layer, sync_bn: bool) -> paddle.nn.Layer:
    """The layer to call in training: gradients are averaged over the processes, all start from rank 0's weights."""
    import paddle

    if world_size() == 1:
        return model
    if sync_bn and not paddle.device.get_device().startswith("gpu"):
        raise ValueError(
            "sync_bn=true: needs GPUs, because paddle has no synchronized batch norm on a CPU; set it to false"
        )
    return paddle.DataParallel(model)


def synchronize_norms(layer: paddle.nn.Layer) -> paddle.nn.Layer:
    """The layer with batch norms that take their statistics over all processes; frozen ones keep and use their own."""
    import paddle

    from ocrexp.models.freezing import is_frozen_norm
    from ocrexp.models.layers import is_batch_norm

    if is_batch_norm(layer):
        return layer if is_frozen_norm(layer) else paddle.nn.SyncBatchNorm.convert_sync_batchnorm(layer)
    for name, child in layer.named_children():
        layer.add_sublayer(name, synchronize_norms(child))
    return layer


def share_statistics(model: paddle.nn.Layer) -> None:
    """Give all processes rank 0's running statistics, so that they evaluate, and save, the same model."""
    if world_size() == 1:
        return
    import paddle

    from ocrexp.engine.buffers import moving_tensors

    with paddle.no_grad():
        for tensor in moving_tensors(model):
            paddle.distributed.broadcast(tensor, src=0)


def average_gradients(parameters: list[Any]) -> None:
    """Average gradients over the processes by hand, where DataParallel had no backward pass to hook into."""
    if world_size() == 1:
        return
    import paddle

    with paddle.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                paddle.distributed.all_reduce(parameter.grad)
                parameter.grad.scale_(1.0 / world_size())


def launch(devices: int, worker: list[str], settings: Any, run_dir: Path) -> int:
    """Train `run_dir` in `devices` processes on this machine; see launch.py."""
    from ocrexp.engine.launch import launch_processes

    return launch_processes(devices, worker, settings, run_dir)
