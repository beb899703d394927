"""The only door to DeepSpeed: a model, its optimizer and how they are spread over the ranks."""

import os
from pathlib import Path
from typing import Any

import torch

from thinkus.manners import tame_transformers
from thinkus.train import attention
from thinkus.train.loss import ForestLoss
from thinkus.train.task import Task


def begin(task: Task) -> None:
    """Meet the other ranks."""
    import deepspeed

    if task.device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    else:
        # A faster way for the ranks of one machine to talk; to compile it takes longer than a demo gains.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("nccl" if task.device == "cuda" else "gloo", verbose=False)


def settings(task: Task) -> dict[str, Any]:
    zero: dict[str, Any] = {"stage": task.zero_stage}
    if task.offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": task.device == "cuda"}
        if task.zero_stage == 3:
            zero["offload_param"] = {"device": "cpu", "pin_memory": task.device == "cuda"}
    return {
        "train_micro_batch_size_per_gpu": 1,
        # A step has as many micro-batches as its samples fill; DeepSpeed must not count them.
        "managed_gradient_accumulation": False,
        "gradient_clipping": task.max_grad_norm,
        "bf16": {"enabled": task.device == "cuda"},
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_optimization": zero,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }


def load_model(task: Task) -> Any:
    """In the precision of the training; sharded from the start where it may not fit whole."""
    tame_transformers()
    from transformers import AutoConfig, AutoModelForCausalLM

    attention.register()
    dtype = torch.bfloat16 if task.device == "cuda" else torch.float32
    chosen = {"dtype": dtype, "attn_implementation": attention.NAME}
    if task.zero_stage < 3:
        return AutoModelForCausalLM.from_pretrained(task.weights, local_files_only=True, **chosen)
    import deepspeed
    from transformers.initialization import no_init_weights

    config = AutoConfig.from_pretrained(task.weights, local_files_only=True)
    # The precision follows from the settings; on a CPU DeepSpeed would make bfloat16 of what it is told.
    with deepspeed.zero.Init(config_dict_or_path=settings(task)), no_init_weights():
        model = AutoModelForCausalLM.from_config(config, **chosen)  # type: ignore[no-untyped-call]
    model.tie_weights()
    is_first = torch.distributed.get_rank() == 0
    whole = (
        AutoModelForCausalLM.from_pretrained(task.weights, local_files_only=True, dtype=dtype)
        if is_first
        else None
    )
    given = dict(whole.named_parameters()) if whole is not None else {}
    for name, parameter in model.named_parameters():
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
            if is_first:
                parameter.data.copy_(given[name].data)
    return model


def initialize(task: Task, model: Any, *, flex: bool) -> Any:
    import deepspeed

    # What undoes itself when it is called again is not recomputed: the head is (see loss.py).
    if task.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    module = ForestLoss(model, flex=flex)
    decayed: list[torch.Tensor] = []
    others: list[torch.Tensor] = []
    for name, parameter in module.named_parameters():
        (others if "norm" in name or name.endswith("bias") else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": task.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=task.lr, betas=(0.9, 0.999), fused=not task.offload or None)
    engine, *_ = deepspeed.initialize(model=module, optimizer=optimizer, config=settings(task))
    if task.zero_stage == 0 and task.device == "cpu":
        # Here DeepSpeed clips, and keeps to itself what the norm was.
        def clip() -> None:
            norm = torch.nn.utils.clip_grad_norm_(module.parameters(), task.max_grad_norm)
            optimizer._global_grad_norm = norm  # type: ignore[attr-defined]

        engine.clip_fp32_gradients = clip
    return engine


def export(task: Task, engine: Any, folder: Path) -> None:
    """The weights alone, whole, in the form of Hugging Face."""
    import deepspeed

    model = engine.module.model
    is_first = torch.distributed.get_rank() == 0
    state: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        with deepspeed.zero.GatheredParameters([parameter], enabled=task.zero_stage == 3):
            if is_first:
                state[name] = parameter.data.detach().to("cpu", copy=True)
    if is_first:
        model.save_pretrained(folder, state_dict=state)
