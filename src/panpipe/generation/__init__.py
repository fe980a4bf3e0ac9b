"""Generation: greedy search, sampling and beam search over any decoder, many prompts at a time."""

from .config import GenerationConfig, load_generation_config
from .edge import generate
from .jobs import Generated, Job, Prompt
from .priority import prepared
from .runner import Runner, generate_many
from .sampling import set_seed
from .streamers import BaseStreamer, TextIteratorStreamer, TextStreamer

__all__ = [
    "BaseStreamer",
    "Generated",
    "GenerationConfig",
    "Job",
    "Prompt",
    "Runner",
    "TextIteratorStreamer",
    "TextStreamer",
    "generate",
    "generate_many",
    "load_generation_config",
    "prepared",
    "set_seed",
]
