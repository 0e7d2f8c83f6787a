"""Where a notebook computes: on a CUDA GPU when there is one that works, else on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def pick_device(wanted: str | None = None) -> torch.device:
    """Choose a device and say which one, in one printed sentence.

    Args:
        wanted: "cpu" or "cuda"; by default the GPU when there is one. A GPU that is wanted and cannot be had is no
            error: the CPU computes the same, more slowly.

    Returns:
        The device, to be passed to torch as ``device=``.

    Raises:
        ValueError: another name.
    """
    import torch

    if wanted not in (None, "cpu", "cuda"):
        raise ValueError(f'a device is "cpu" or "cuda", not {wanted!r}')
    reason = "as you wish" if wanted == "cpu" else _no_gpu()
    if reason:
        print(f"Computing on the CPU ({reason}).")
        return torch.device("cpu")
    print(f"Computing on the GPU, {torch.cuda.get_device_name(0)}.")
    return torch.device("cuda")


def _no_gpu() -> str:
    """Why there is no GPU to compute on, or nothing. A driver may be there and still not work, so it is tried."""
    import torch

    if not torch.cuda.is_available():
        return "PyTorch sees no CUDA GPU"
    try:
        torch.ones(2, device="cuda").sum().item()
    except RuntimeError as error:
        return f"the GPU does not work: {str(error).splitlines()[0]}"
    return ""


def computes_bfloat16(device: str = "cpu") -> bool:
    """Whether a device has instructions for products in bfloat16; without them bf16 is slower than float32."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16") or can.get("bf16"))
