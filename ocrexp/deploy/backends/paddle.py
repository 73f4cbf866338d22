"""Exported networks on paddle.inference."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from ocrexp.deploy.backends.base import Backend, Images, Output, library_message
from ocrexp.errors import DeployError
from ocrexp.logs import import_paddle

_GPU_POOL_MB = 200  # first block; it grows
_WORKSPACE = 1 << 30
_TENSORRT_BATCH = 32


class PaddleBackend(Backend):
    """A predictor, and a clone of it for each further thread; the clones share the parameters.

    It has one stream: paddle holds Python's global lock while it runs, so a second thread would only wait.
    """

    name = "paddle"

    def __init__(
        self,
        program: Path,
        parameters: Path,
        gpu: int | None,
        threads: int,
        precision: str,
        tensorrt: bool,
        sizes_kept: int,
    ) -> None:
        super().__init__("cpu" if gpu is None else f"gpu:{gpu}", threads, streams=1)
        # Not `environment.prepare`: there, idle threads sleep, and waking them takes longer than running a small
        # network.
        import_paddle()
        import paddle
        from paddle import inference

        self._files = program
        try:
            config = inference.Config(str(program), str(parameters))
            config.disable_glog_info()
            config.enable_memory_optim()
            config.switch_ir_optim(True)
            if hasattr(config, "enable_new_executor"):
                config.enable_new_executor()
            if program.suffix == ".json":
                config.enable_new_ir(True)
            if gpu is None:
                self._set_cpu(config, precision, threads, sizes_kept)
            else:
                self._set_gpu(config, inference, paddle, gpu, precision, tensorrt)
            self._predictor = inference.create_predictor(config)
        except DeployError:
            raise
        except Exception as error:  # paddle raises RuntimeError, ValueError, OSError … for a damaged file
            raise DeployError(
                f"{program}: paddle {paddle.__version__} cannot load it, or {parameters.name} "
                f"({library_message(error)})"
            ) from None
        self.onednn = bool(config.mkldnn_enabled())
        self._local = threading.local()
        self._clone_lock = threading.Lock()
        self._first_taken = False
        output = self._predictor.get_output_names()
        if not output:
            raise DeployError(f"{program}: the network has no output; export it again")

    def run_all(self, images: Images) -> list[Output]:
        try:
            predictor = self._mine()
            predictor_input = predictor.get_input_handle(predictor.get_input_names()[0])
            predictor_input.reshape(images.shape)
            predictor_input.copy_from_cpu(images)
            predictor.run()
            return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
        except Exception as error:  # as above
            raise DeployError(
                f"{self._files}: paddle cannot run it on an input of {list(images.shape)} ({library_message(error)})"
            ) from None

    def _mine(self) -> Any:
        """The predictor of this thread; a predictor runs one input at a time."""
        predictor = getattr(self._local, "predictor", None)
        if predictor is None:
            with self._clone_lock:
                predictor = self._predictor.clone() if self._first_taken else self._predictor
                self._first_taken = True
            self._local.predictor = predictor
        return predictor

    @staticmethod
    def _set_cpu(config: Any, precision: str, threads: int, sizes_kept: int) -> None:
        if precision == "fp16":
            raise DeployError("precision=fp16: needs a GPU; on a CPU use bf16 or fp32")
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(threads)
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(sizes_kept)
        if precision == "bf16":
            config.enable_mkldnn_bfloat16()

    @staticmethod
    def _set_gpu(config: Any, inference: Any, paddle: Any, gpu: int, precision: str, tensorrt: bool) -> None:
        if not paddle.is_compiled_with_cuda():
            raise DeployError(f"device=gpu:{gpu}: the installed paddle has no CUDA; run: pip install 'ocrexp[gpu]'")
        if gpu >= paddle.device.cuda.device_count():
            raise DeployError(
                f"device=gpu:{gpu}: this machine has {paddle.device.cuda.device_count()} GPUs, numbered from 0"
            )
        if precision == "bf16":
            raise DeployError("precision=bf16: works on a CPU only; on a GPU use fp16 or fp32")
        kind = inference.PrecisionType.Half if precision == "fp16" else inference.PrecisionType.Float32
        config.enable_use_gpu(_GPU_POOL_MB, gpu, kind)
        if tensorrt:
            if inference.get_trt_compile_version() == (0, 0, 0):
                raise DeployError("tensorrt=true: the installed paddle was built without TensorRT; set it to false")
            config.enable_tensorrt_engine(
                workspace_size=_WORKSPACE, max_batch_size=_TENSORRT_BATCH, min_subgraph_size=20, precision_mode=kind
            )
            # Sizes change from image to image: engines are built for the ranges of sizes that were seen so far.
            config.enable_tuned_tensorrt_dynamic_shape()
